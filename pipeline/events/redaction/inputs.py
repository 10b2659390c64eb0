"""Inputs that a validation error repeats in free text, as pydantic and FastAPI write them.

`[type=…, input_value=…, input_type=…]` loses its input whatever that is: it may be an object, cut short in the
middle of a name. `{'loc': ('body', 'password'), 'input': …}` loses it where the location names a secret.

Invariants: an input that is not closed is redacted through the end of its error; the work is linear in the length
of the text.
"""

import re
from collections.abc import Callable, Iterator

from pipeline.events.redaction.endings import QUOTE, bare_end, string_end, structure_end

MARK = b"input_value="
"""What the bytes of an error hold that repeats its input."""

_MARK = MARK.decode()
_REPEATED = re.compile(rf"\[type=[\w.\-]{{1,100}}, {_MARK}")
_TYPE = ", input_type="
_LOCATION = re.compile(r"(?<!\\)(\\*+[\"'])loc\1\s{0,4}:\s{0,4}(?P<steps>[(\[][^()\[\]]{0,500}+[)\]])")
_NAME = re.compile(r"[\w.\-]{2,100}+")
_INPUT = re.compile(r"(?<!\\)(\\*+[\"'])(?:input|ctx)\1\s{0,4}:\s{0,4}")


class Inputs:
    """Redacts inputs. `is_sensitive` judges a name; `marker` replaces an input."""

    __slots__ = ("_is_sensitive", "_marker")

    def __init__(self, is_sensitive: Callable[[str], bool], marker: str) -> None:
        self._is_sensitive = is_sensitive
        self._marker = marker

    def redact(self, text: str) -> str:
        """Return `text` with the inputs in it replaced."""
        if _MARK in text:
            text = self._repeated(text)
        if "loc" in text and ("input" in text or "ctx" in text):
            text = self._located(text)
        return text

    def _repeated(self, text: str) -> str:
        parts: list[str] = []
        done = 0
        for found, end in _with_ends(_REPEATED, text):
            # An input may hold what follows one: the last in the error is what does.
            closed = text.rfind(_TYPE, found.end(), end)
            parts += (text[done : found.end()], self._marker)
            done = end if closed < 0 else closed
        return "".join(parts) + text[done:]

    def _located(self, text: str) -> str:
        """Hide the inputs from the location before to the one behind: an error's members come in any order."""
        parts: list[str] = []
        done = begin = 0
        for found, end in _with_ends(_LOCATION, text):
            if any(map(self._is_sensitive, _NAME.findall(found["steps"]))):
                for named in _INPUT.finditer(text, max(begin, done), end):
                    if named.start() >= done:
                        start, stop, quote = _value(text, named.end(), named[1])
                        parts += (text[done:start], f"{quote}{self._marker}{quote}")
                        done = stop
            begin = found.end()
        return "".join(parts) + text[done:]


def _with_ends(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield what `pattern` finds, each with where the next begins."""
    found = list(pattern.finditer(text))
    starts = [match.start() for match in found]
    yield from zip(found, [*starts[1:], len(text)], strict=False)


def _value(text: str, at: int, key_quote: str) -> tuple[int, int, str]:
    """Return where the value at `at` begins and ends, and the quotes that its replacement needs."""
    quoted = QUOTE.match(text, at)
    if quoted is not None:
        return quoted.end(), string_end(text, quoted.end(), quoted[1]), ""
    if text[at : at + 1] in ("{", "["):
        return at, structure_end(text, at, key_quote), key_quote
    return at, bare_end(text, at), key_quote
