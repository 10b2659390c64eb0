"""The second opinion: finds secrets in what was encoded, without any of the redactor's code or patterns.

Invariants: nothing is imported from `redaction`, and no pattern language is used: texts are taken apart
character by character, tokens are decoded to see whether they are what they look like, and the names of
secrets are listed here again. A `Leak` never holds the secret or any part of it, nor a key that could be one.
Meant for samples: it is thorough, not fast. It reports less than the redactor redacts where only wording
tells the two apart, so that an alarm is worth a person's attention.
"""

from pipeline.events.leaks.documents import Leak, find_leaks

__all__ = ["Leak", "find_leaks"]
