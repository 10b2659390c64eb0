"""What tells a sentence about a secret from a secret: the words of plain English and of code.

Invariant: only consulted where a name is followed by a colon and a space, or by a space; `name=value` and
quoted names need no wording to be believed.
"""

import re

_WORDS = """
    a accepted access again already an and are as at authentication be been being but by can cannot cancelled change
    changed check checked checking completed could created denied did disabled do does done empty enabled error
    exceeded exists expired expires expiring failed failure false field for found from generated granted had has have
    if in incorrect input invalid is issued it its malformed may mismatch mismatched missing must no none not null of
    ok on only optional or please provided refreshed rejected removed renewed required requested requires reset
    resetting revoked rotated sent set should success succeeded successful that the this to too true undefined unknown
    unset unsupported updated use used user valid validated validation value verified verification verifying was were
    when while will with without wrong yes you your
"""
"""Words that follow the name of a secret in a sentence, and that nobody's secret is."""

_ORDINARY = frozenset(_WORDS.split())
_CODE = re.compile(
    r"(?:error|exception|warning|failure|fault|service|manager|handler|filter|controller|provider|factory|middleware"
    r"|validator|parser|cleaner|store|utils?|helper|impl|job|worker|agent|daemon|module|plugin|request|reset|event)s?\Z"
    r"|(?:requested|changed|expired|failed|invalid|rejected|revoked)\Z|\A(?:invalid|expired|missing|wrong|bad)[_-]",
    re.IGNORECASE,
)
"""What the names of code and of happenings have: `InvalidTokenError: …` tells of a token and does not hold one."""

_SECOND = frozenset({"access", "card", "code", "hash", "id", "is", "key", "no", "number", "security", "value", "was"})


def is_ordinary(word: str) -> bool:
    """Return whether `word` goes on a sentence."""
    return word.rstrip(".,;:!").lower() in _ORDINARY


def is_about_code(name: str) -> bool:
    """Return whether `name` is that of a piece of code."""
    return _CODE.search(name) is not None


def joins_next_word(word: str) -> bool:
    """Return whether `word` makes a name only together with the word before it: `api key`, `password is`."""
    return word.lower() in _SECOND
