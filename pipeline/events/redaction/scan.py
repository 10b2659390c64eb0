"""Which serialised documents need a closer look: one scan over the bytes of a whole batch.

Invariants: no document that `Texts.values` would change is passed over, provided that its keys are redacted
and that `orjson` serialised it, on one line; a document that is named needlessly only costs time.

The scan looks for marks that every secret leaves in the bytes of its batch, with searches that run at the
speed of memory: single rare bytes, long literals, and patterns that begin with a literal byte. A mark that
means nothing without the name of a secret (`=`, a colon within a string, `<`, a quote, an option) counts only
when the string it stands in holds such a name; keys that are redacted already are other strings.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from pipeline.events.encoded import INGESTED
from pipeline.events.redaction.cards import MAX_DIGITS, MIN_DIGITS

_CHUNK = 128
"""Documents scanned at once: what they hold stays in the processor's cache from one search to the next."""

_HEAD = INGESTED + b'"@timestamp":"'
_HEAD_LENGTH = len(_HEAD) + 24
"""How a document begins: with two instants that siemlite wrote, which hold no secret but many colons."""

_SURE = tuple(
    re.compile(pattern)
    for pattern in (
        rb"A(?:KIA|SIA|BIA|CCA|Iza)",
        rb"B(?:earer|EARER|asic|ASIC)(?=[ +]|%20|\\t)",
        rb"b(?:earer|asic)(?=[ +]|%20|\\t)",
        rb"_(?:(?<=gh[a-z]_)|(?<=pat_)|(?<=whsec_)|(?<=k_)(?:live|test)_)",
    )
)
"""Secrets that are known by their own shape."""

_DASH = re.compile(
    rb"-(?:(?P<sure>----BEGIN|(?<=[0-9]{3}-)[0-9]{2}-[0-9]{4}|(?<=xox[a-z]-)|(?<=xapp-)|(?<=sk-)|(?<=glpat-)|(?<=SPX-))"
    rb"|-|(?<![A-Za-z0-9_]-)[A-Za-z]|(?<=\\[nrt]-)[A-Za-z])"
)
"""A dash in a secret of a known shape, or before an option's name."""

_NAMED_BYTES = (b"=", b"<", b"'")
_COLON = re.compile(rb':(?:(?<!":)(?<![T :][0-9][0-9]:)|(?<=\\":))')
_NOT_PUNCTUATION = bytes(byte for byte in range(256) if byte not in b'":,\\\n')
_KEYS_END = b'"":'
"""What is left of a plain key and its colon when all but quotes, colons, commas and backslashes are left out."""

_NAMED_RARE = ((b"%", re.compile(rb"%3")), (b"\\", re.compile(rb'\\"')))
"""What stands between a name and its secret. The colons of JSON itself and those of a time are no such marks."""

_BEHIND_NAME = re.compile(rb"[=:<>'\"%]")
_USERINFO = re.compile(rb"://[^\s\"'<>`\\]{0,2100}@")
_UNDERSCORES = b"_-. $"

_SEPARATORS = b" -+\xc2\xa0\xe2\x80\x89\xaf"
_FOLDED = bytes(48 if 48 <= byte <= 57 else byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_NINE_DIGITS = b"0" * 9
_CARD_DIGITS = b"0" * MIN_DIGITS
_BEFORE_SSN = tuple(rb"""ssn ssns security number num no nr is was . # : = ' \" \ \t""".split())
_ZEROS = re.compile(rb"0+")
_CARD_FIRST = b"23456"


class Scan:
    """Scans batches. `names` are the names of secrets as `Names` compares them, joined."""

    __slots__ = ("_find_stem",)

    def __init__(self, names: Iterable[str]) -> None:
        by_first: dict[bytes, list[bytes]] = {}
        stems: list[bytes] = []
        for word in sorted({name.encode() for name in names}, key=len):
            if not any(stem in word for stem in stems):
                stems.append(word)
                by_first.setdefault(re.escape(word[:1]), []).append(re.escape(word[1:]))
        branches = (first + b"(?:" + b"|".join(rest) + b")" for first, rest in by_first.items())
        self._find_stem = re.compile(b"|".join(branches)).search

    def suspects(self, bodies: Sequence[bytes]) -> list[int]:
        """Return the positions of those `bodies` that may hold a secret in a value, in order."""
        found: list[int] = []
        for first in range(0, len(bodies), _CHUNK):
            part = self._suspects(bodies[first : first + _CHUNK])
            found += [first + at for at in part] if first else part
        return found

    def _suspects(self, bodies: Sequence[bytes]) -> list[int]:
        parts = [body[_HEAD_LENGTH:] if body.startswith(_HEAD) else body for body in bodies]
        lines = _Lines(b"\n".join(parts))
        joined = lines.joined
        found = set(lines.behind(b"J", b"ey"))
        found.update(lines.behind(b"~", b"Q"))
        found.update(lines.each(partial(joined.find, b"ya29.")))
        for pattern in _SURE:
            found.update(lines.each(_match(pattern, joined)))
        found.update(_numbered(parts, joined))
        known: dict[int, bool] = {}
        for byte in _NAMED_BYTES:
            found.update(self._named(lines, partial(joined.find, byte), known))
        found.update(self._dashes(lines, known))
        found.update(self._colons(parts, lines, known))
        for byte, pattern in _NAMED_RARE:
            if byte in joined:
                found.update(self._named(lines, _match(pattern, joined), known))
        return sorted(found)

    def _named(self, lines: "_Lines", find: Callable[[int], int], known: dict[int, bool], at: int = 0) -> Iterator[int]:
        """Yield the numbers of the lines in which a mark that `find` finds stands in a string with a name.

        `known` holds the verdict for the strings looked at before, by where they begin.
        """
        joined = lines.joined
        at = find(at)
        while at >= 0:
            start, following = _string_around(joined, at)
            verdict = known.get(start)
            if verdict is None:
                verdict = known[start] = self._holds_secret(joined[start:following])
            if verdict:
                line, following = lines.line(at)
                yield line
            at = find(following)

    def _colons(self, parts: Sequence[bytes], lines: "_Lines", known: dict[int, bool]) -> Iterator[int]:
        """Yield the numbers of the lines with a colon in a string with a name.

        Nearly all colons are those of JSON; they are told apart on what is left of the batch without all else.
        """
        joined = lines.joined
        rest = _Lines(joined.translate(None, _NOT_PUNCTUATION).replace(_KEYS_END, b""))
        starts: list[int] = []
        at = rest.joined.find(b":")
        while at >= 0:
            line, following = rest.line(at)
            starts = starts or [0, *accumulate(len(part) + 1 for part in parts)]
            start, end = starts[line], starts[line + 1]
            find = _match(_COLON, joined, end)
            yield from self._named(lines, find, known, start)
            at = rest.joined.find(b":", following)

    def _dashes(self, lines: "_Lines", known: dict[int, bool]) -> Iterator[int]:
        """Yield the numbers of the lines with a secret that has a dash, or with an option in a string with a name."""
        joined = lines.joined
        found = _DASH.search(joined)
        while found is not None:
            at = found.start()
            if found["sure"] is not None:
                line, following = lines.line(at)
                yield line
            else:
                start, following = _string_around(joined, at)
                if start not in known:
                    known[start] = self._holds_secret(joined[start:following])
                if known[start]:
                    yield lines.line(at)[0]
                following = at + 1
            found = _DASH.search(joined, following)

    def _holds_secret(self, string: bytes) -> bool:
        """Return whether a string with a mark may hold a named secret, or one in a URL."""
        if b"://" in string:
            if b"@" in string and _USERINFO.search(string) is not None:
                return True
            if b"hooks.slack.com/" in string:
                return True
        if not string.isascii() or b"\\\\u" in string:
            return True
        text = string.lower().translate(None, _UNDERSCORES)
        stem = self._find_stem(text)
        if stem is None:
            return False
        return _BEHIND_NAME.search(text, stem.start()) is not None or _DASH.search(string) is not None


class _Lines:
    """A batch as lines of one buffer, searched as a whole."""

    __slots__ = ("_counted", "_number", "joined")

    def __init__(self, joined: bytes) -> None:
        self.joined = joined
        self._counted = 0
        self._number = 0

    def each(self, find: Callable[[int], int]) -> Iterator[int]:
        """Yield the numbers of the lines in which `find`, given where to begin, finds something."""
        at = find(0)
        while at >= 0:
            line, following = self.line(at)
            yield line
            at = find(following)

    def behind(self, rare: bytes, before: bytes) -> Iterator[int]:
        """Yield the numbers of the lines in which the `rare` byte follows `before`."""
        find = self.joined.find
        at = find(rare)
        while at >= 0:
            if self.joined.endswith(before, 0, at):
                yield self.line(at)[0]
            at = find(rare, at + 1)

    def line(self, at: int) -> tuple[int, int]:
        """Return the number of the line that holds the offset `at`, and where the next one begins.

        Hits come in order, so newlines are counted from the last one.
        """
        if at < self._counted:
            self._counted = self._number = 0
        self._number += self.joined.count(b"\n", self._counted, at)
        self._counted = at
        end = self.joined.find(b"\n", at)
        return self._number, len(self.joined) if end < 0 else end + 1


def _match(pattern: re.Pattern[bytes], joined: bytes, end: int = sys.maxsize) -> Callable[[int], int]:
    """Return a search for `pattern` before `end` that answers like `bytes.find`."""
    search = pattern.search

    def find(at: int) -> int:
        found = search(joined, at, end)
        return -1 if found is None else found.start()

    return find


def _string_around(joined: bytes, at: int) -> tuple[int, int]:
    """Return where the JSON string around the offset `at` begins and ends, generously where quotes are escaped."""
    start = joined.rfind(b'"', 0, at)
    while start > 0 and joined[start - 1] == 92:  # a backslash
        start = joined.rfind(b'"', 0, start)
    end = joined.find(b'"', at + 1)
    while end > 0 and joined[end - 1] == 92:  # a backslash
        end = joined.find(b'"', end + 1)
    return start + 1, end if end > at else len(joined)


def _numbered(bodies: Sequence[bytes], joined: bytes) -> Iterator[int]:
    """Yield the positions of `bodies` with the digits of a card, or of a social security number after a word."""
    folded = _Lines(joined.translate(_FOLDED, _SEPARATORS))
    text = folded.joined
    at = text.find(_NINE_DIGITS)
    while at >= 0:
        following = at + len(_NINE_DIGITS)
        if text.startswith(_CARD_DIGITS, at):
            end = _ZEROS.match(text, at).end()  # type: ignore[union-attr]
            line, following = folded.line(at)
            start = text.rfind(b"\n", 0, at) + 1
            plain = bodies[line].translate(None, _SEPARATORS)
            if _may_hold_card(bodies[line], plain, plain[at - start : end - start]):
                yield line
            else:
                following = end
        elif text.endswith(_BEFORE_SSN, 0, at):
            line, following = folded.line(at)
            yield line
        at = text.find(_NINE_DIGITS, following)


def _may_hold_card(body: bytes, plain: bytes, digits: bytes) -> bool:
    """Return whether `digits`, which stand in `body`, perhaps with separators, may be or hold a card's number.

    `plain` is `body` without separators. What is no card is mostly an instant, an id or part of a hash.
    """
    if len(digits) == MIN_DIGITS and digits[0] not in _CARD_FIRST:
        return False
    at = body.find(digits)
    if at >= 0 and plain.count(digits) == body.count(digits):
        if b"\\" in body:  # an escape may end in a digit or a letter
            return True
        if len(digits) > MAX_DIGITS or digits[0] not in _CARD_FIRST:
            return False
        end = at + len(digits)
        inside = body[at - 1 : at].isalpha() or body[end : end + 1].isalpha()
        return not inside or body.count(digits) > 1
    return True
