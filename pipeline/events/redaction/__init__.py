"""Redaction: what keeps secrets out of everything that siemlite writes.

An event passes in two steps. `Redactor.keys` makes any value a JSON-safe tree and replaces what stands under
a sensitive name. After the event has its shape and is serialised, `Redactor.suspects` scans the bytes of a
whole batch for what may be a secret in a value, and `Redactor.values` redacts within values where it says so.
`Redactor.text` does the same for a line that is no JSON.
"""

from collections.abc import Iterable

from pipeline.events.redaction.names import Names
from pipeline.events.redaction.plain import CYCLE, MARKER, TRUNCATED, Plain, Plainer
from pipeline.events.redaction.scan import Scan
from pipeline.events.redaction.texts import Texts

__all__ = ["CYCLE", "MARKER", "TRUNCATED", "Plain", "Redactor"]


class Redactor:
    """Redacts. `extra_keys` are further names of secrets; the defaults stay. Safe to share between threads.

    Raises `ConfigurationError` for an extra key that is no name.
    """

    __slots__ = ("_names", "_plainer", "_texts", "is_sensitive", "keys", "suspects", "text", "values")

    def __init__(self, extra_keys: Iterable[str] = ()) -> None:
        self._names = Names(extra_keys)
        self._plainer = Plainer(self._names, self._redact_text)
        self._texts = Texts(self._names.is_sensitive, self._plainer.plain, MARKER, TRUNCATED)
        self.keys = self._plainer.plain
        self.is_sensitive = self._names.is_sensitive
        self.text = self._texts.text
        self.suspects = Scan(self._names.stems()).suspects
        self.values = self._texts.values

    def _redact_text(self, text: str) -> str:
        return self._texts.text(text)
