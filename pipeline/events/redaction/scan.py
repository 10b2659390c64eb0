"""Which serialised documents need a closer look: one scan over the bytes of a whole batch.

Invariants: no document that `Texts.values` would change is passed over, provided that its keys are redacted
and that `orjson` serialised it, on one line; a document that is named needlessly only costs time.

The scan looks for marks that every secret leaves in the bytes of its batch, with searches that run at the
speed of memory: single rare bytes, long literals, and patterns that begin with a literal byte. A mark that
means nothing without the name of a secret (`=`, a colon within a string, `<`, a quote, an option) counts only
when the string it stands in holds such a name; keys that are redacted already are other strings.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from pipeline.events.encoded import INGESTED
from pipeline.events.redaction.commands import may_command
from pipeline.events.redaction.digits import numbered
from pipeline.events.redaction.encoded import decoded_bytes
from pipeline.events.redaction.inputs import MARK as INPUT
from pipeline.events.redaction.lines import Lines, match_of
from pipeline.events.redaction.rows import PARAMETERS, ROW
from pipeline.events.redaction.shapes import SIGNATURE
from pipeline.events.redaction.stems import Stems

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
        rb"_(?:(?<=gh[a-z]_)|(?<=pat_)|(?<=whsec_)|(?<=npm_)|(?<=hf_)|(?<=shp[a-z]{2}_)|(?<=k_)(?:live|test)_)",
    )
)
"""Secrets that are known by their own shape."""

_DASH = re.compile(
    rb"-(?:(?P<sure>----BEGIN|(?<=[0-9]{3}-)[0-9]{2}-[0-9]{4}|(?<=xox[a-z]-)|(?<=xapp-)|(?<=sk-)|(?<=glpat-)|(?<=pypi-)|(?<=SPX-))"
    rb"|-|(?<![A-Za-z0-9_]-)[A-Za-z]|(?:(?<=\\[nrt]-)|(?<=\\u00[0-9a-f]{2}-))[A-Za-z])"
)
"""A dash in a secret of a known shape, or before an option's name."""

_NAMED_BYTES = (b"=", b"<", b"'")
_COLON = re.compile(rb":(?<![T :][0-9][0-9]:)")
_KEY_END = b'":'
_NOT_PUNCTUATION = bytes(byte for byte in range(256) if byte not in b'":,\\\n')
_KEYS_END = b'"":'
"""What is left of a plain key and its colon when all but quotes, colons, commas and backslashes are left out."""

_NAMED_RARE = ((b"%", re.compile(rb"%3")), (b"\\", re.compile(rb'\\"')))
"""What stands between a name and its secret. The colons of JSON itself and those of a time are no such marks."""

_USERINFO = re.compile(rb"://[^\s\"'<>`\\]{0,2100}@")


class Scan:
    """Scans batches. `stems` are the stems of the names of secrets."""

    __slots__ = ("_may_name",)

    def __init__(self, stems: Stems) -> None:
        self._may_name = stems.may_name

    def suspects(self, bodies: Sequence[bytes]) -> list[int]:
        """Return the positions of those `bodies` that may hold a secret in a value, in order."""
        found: list[int] = []
        for first in range(0, len(bodies), _CHUNK):
            part = self._suspects(bodies[first : first + _CHUNK])
            found += [first + at for at in part] if first else part
        return found

    def _suspects(self, bodies: Sequence[bytes]) -> list[int]:
        parts = [body[_HEAD_LENGTH:] if body.startswith(_HEAD) else body for body in bodies]
        lines = Lines(b"\n".join(parts))
        joined = lines.joined
        found = set(lines.behind(b"J", b"ey"))
        found.update(lines.behind(b"~", b"Q"))
        for literal in (b"ya29.", b"SG.", b"hvs.", b":AA"):
            found.update(lines.each(partial(joined.find, literal)))
        for pattern in _SURE:
            found.update(lines.each(match_of(pattern, joined)))
        found.update(numbered(parts, joined))
        known: dict[int, bool] = {}
        for byte in _NAMED_BYTES:
            found.update(self._named(lines, partial(joined.find, byte), known))
        found.update(self._dashes(lines, known))
        found.update(self._colons(parts, joined))
        for byte, pattern in _NAMED_RARE:
            if byte in joined:
                found.update(self._named(lines, match_of(pattern, joined), known))
        return sorted(found)

    def _named(self, lines: Lines, find: Callable[[int], int], known: dict[int, bool], at: int = 0) -> Iterator[int]:
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

    def _colons(self, parts: Sequence[bytes], joined: bytes) -> Iterator[int]:
        """Yield the numbers of the lines with a colon in a string with a name.

        Nearly all colons are those of JSON; the few lines that have others are found on what is left of the batch
        without all else. A colon behind an escaped quote needs no look here: the quote itself is a mark.
        """
        rest = Lines(joined.translate(None, _NOT_PUNCTUATION).replace(_KEYS_END, b""))
        for line in rest.each(partial(rest.joined.find, b":")):
            text = parts[line].replace(_KEY_END, b'"')
            end = 0
            for colon in _COLON.finditer(text):
                if colon.start() < end:
                    continue
                start, end = _string_around(text, colon.start())
                if self._holds_secret(text[start:end]):
                    yield line
                    break

    def _dashes(self, lines: Lines, known: dict[int, bool]) -> Iterator[int]:
        """Yield the numbers of the lines with a secret that has a dash, or with an option in a string with a name."""
        joined = lines.joined
        start = end = 0
        found = _DASH.search(joined)
        while found is not None:
            at = found.start()
            following = at + 1
            if found["sure"] is not None:
                line, following = lines.line(at)
                yield line
            elif at >= end:
                start, end = _string_around(joined, at)
                if start not in known:
                    known[start] = self._holds_secret(joined[start:end])
                if known[start]:
                    yield lines.line(at)[0]
            found = _DASH.search(joined, following)

    def _holds_secret(self, string: bytes) -> bool:
        """Return whether a string with a mark may hold a named secret, or one in a URL."""
        if b"://" in string:
            if b"@" in string and _USERINFO.search(string) is not None:
                return True
            if b"hooks.slack.com/" in string:
                return True
        if INPUT in string or SIGNATURE in string or ROW in string or PARAMETERS in string or self._may_name(string):
            return True
        if b"%" in string and self._may_name(decoded_bytes(string)):
            return True
        return (b" -" in string or b"'-" in string or b'"-' in string) and may_command(string)


def _string_around(joined: bytes, at: int) -> tuple[int, int]:
    """Return where the JSON string around the offset `at` begins and ends, generously where quotes are escaped."""
    start = joined.rfind(b'"', 0, at)
    while start > 0 and joined[start - 1] == 92:  # a backslash
        start = joined.rfind(b'"', 0, start)
    end = joined.find(b'"', at + 1)
    while end > 0 and joined[end - 1] == 92:  # a backslash
        end = joined.find(b'"', end + 1)
    return start + 1, end if end > at else len(joined)
