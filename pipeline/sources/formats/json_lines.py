"""JSON lines: one object a line, in the common application format or in ECS.

What `orjson` refuses and other writers produce is read by the slower standard parser, so that nobody hides
an event behind it: `NaN` and `Infinity` become text, lone surrogates and bytes that are not UTF-8 become
`\\udNNN` and `\\xNN`, a byte order mark or NULs around the object are ignored. Of a repeated key the last
counts. A number beyond 64 bits is a double, as nearly everywhere, and beyond doubles it is its digits as text.
What is no object after all, or deeper than the parsers go (1,024 levels), is an event with the line as its
message and the tag `json_parse_failure`. What loggers call by other names than the common application format, and
what containers wrap lines in, is understood as `dialects` says.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC
from math import isfinite

import orjson

from pipeline.sources.formats.dialects import CRI, in_common_form, in_zone, unwrapped
from pipeline.sources.formats.format import TOO_LONG, Event, FormatOptions, decoded
from pipeline.sources.lines import CUT

FAILURE = "json_parse_failure"

_BYTE = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = (" ", "\t", "\r")
_AROUND = b"\0 \t\r"
_BOM = b"\xef\xbb\xbf"
_TIME_MAX = 64
_INTEGERS = 1 << 63
"""Beyond which an integer is no instant, nor one that a position could hold."""

_DIGITS_64 = 19
_COMMA = re.compile(r',[ \t]*"')
_STARTS_TRIED = 100
_LEVELS_CLOSED = 8


def _integer(digits: str) -> int | float | str:
    return int(digits) if len(digits) <= _DIGITS_64 else _double(digits)


def _double(digits: str) -> float | str:
    number = float(digits)
    return number if isfinite(number) else digits


_decoder = json.JSONDecoder(parse_constant=str, parse_int=_integer, parse_float=_double)


class JsonLines:
    """The format `json`."""

    name = "json"
    unwraps = True

    __slots__ = ("_time", "_timezone", "unread")

    def __init__(self, options: FormatOptions | None = None) -> None:
        timezone = UTC if options is None else options.timezone
        self._timezone = None if timezone is UTC or str(timezone) == "UTC" else timezone
        self.unread = 0
        self._time: str | int | None = None

    def parse(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse`."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = _leniently(line)
        if type(event) is not dict:
            inner = unwrapped(line)
            return (self._failed(line),) if inner is None else self._contained(*inner)
        if "log" in event and "stream" in event:
            inner = unwrapped(event)
            if inner is not None:
                return self._contained(*inner)
        if "timestamp" not in event or "message" not in event:
            in_common_form(event)
        if self._timezone is not None:
            in_zone(event, self._timezone)
        time = event.get("timestamp") or event.get("@timestamp")
        if time and (type(time) is str or (type(time) is int and -_INTEGERS <= time < _INTEGERS)):
            self._time = time
        return (event,)

    def _contained(self, line: str, time: str) -> Sequence[Event]:
        """Return the events of a line that a container wrote at `time`."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = _leniently(line.encode("utf-8", "surrogatepass"))
        if not isinstance(event, dict):
            self._time = time
            return ({"timestamp": time, "message": line},)
        in_common_form(event)
        if self._timezone is not None:
            in_zone(event, self._timezone)
        self._time = time
        if not (event.get("timestamp") or event.get("@timestamp")):
            event["timestamp"] = time
        return (event,)

    def parse_cut(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse_cut`; members that are complete before the cut, or behind it, are kept as they are."""
        head, _, tail = line.partition(CUT)
        wrapped = CRI.fullmatch(head)
        if wrapped is not None:
            head, self._time = wrapped["line"], wrapped["time"].decode()
        text = _text(head)
        event = _beginning(text)
        if tail and text.lstrip().startswith("{"):
            _end(tail.decode("utf-8", "backslashreplace"), event)
        if not event:
            event = self._failed(head)
        elif self._time is not None and not (event.get("timestamp") or event.get("@timestamp")):
            event["timestamp"] = self._time
        tags = event.get("tags")
        event["tags"] = [*(tags if isinstance(tags, list) else [] if tags is None else [tags]), TOO_LONG]
        return (event,)

    def snapshot(self) -> str:
        """See `Format.snapshot`."""
        time = self._time
        return orjson.dumps(None if type(time) is str and len(time) > _TIME_MAX else time).decode()

    def restore(self, state: str) -> None:
        """See `Format.restore`."""
        try:
            time = orjson.loads(state)
        except orjson.JSONDecodeError:
            return
        self._time = time if isinstance(time, str | int) else None

    def _failed(self, line: bytes) -> Event:
        self.unread += 1
        event: Event = {"message": decoded(line), "tags": [FAILURE]}
        if self._time is not None:
            event["timestamp"] = self._time
        return event


def _text(line: bytes) -> str:
    """Return a line as text that is JSON where the line was JSON but for its encoding."""
    text = line.strip(_AROUND).removeprefix(_BOM).decode("utf-8", "surrogateescape")
    return _BYTE.sub(lambda match: f"\\\\x{ord(match[0]) - 0xDC00:02x}", text)


def _leniently(line: bytes) -> object:
    try:
        return _clean(_decoder.decode(_text(line)))
    except (ValueError, RecursionError):
        # UTF-16 of what is ASCII: without its NULs it is that.
        return _leniently(line.replace(b"\0", b"").lstrip(b"\xff\xfe")) if b"\0" in line else None


def _clean(tree: object) -> object:
    """Return a tree without lone surrogates, which are not text."""
    if isinstance(tree, str):
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", tree)
    if isinstance(tree, dict):
        return {_clean(key): _clean(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_clean(value) for value in tree]
    return tree


def _beginning(text: str) -> Event:
    """Return the complete members of the object that `text` is the beginning of, one level down as well."""
    found: Event = {}
    _members(text, 0, found, 2)
    return found


def _members(text: str, at: int, into: Event, levels: int) -> None:
    """Read members from the `{` at `at` into `into`, as far as they are complete."""
    if text[at : at + 1] != "{":
        return
    while True:
        try:
            key, at = _decoder.raw_decode(text, _skip(text, at + 1))
        except (ValueError, RecursionError):
            return
        at = _skip(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            return
        name = str(_clean(key))
        at = _skip(text, at + 1)
        try:
            value, end = _decoder.raw_decode(text, at)
            value = _clean(value)
        except (ValueError, RecursionError):
            inner: Event = {}
            if levels > 1:
                _members(text, at, inner, levels - 1)
            if inner:
                into[name] = inner
            return
        at = _skip(text, end)
        if text[at : at + 1] not in (",", "}"):
            return
        into[name] = value
        if text[at] == "}":
            return


def _end(text: str, into: Event) -> None:
    """Add the members of an object that its text ends with, and that are not in `into` already.

    Members of an object within it are left: nobody can tell which one that is, and a client may have written it.
    """
    for _, found in zip(range(_STARTS_TRIED), _COMMA.finditer(text), strict=False):
        outer = _outermost(text, found.end() - 1)
        if outer is not None:
            for name, value in outer.items():
                into.setdefault(name, value)
            return


def _outermost(text: str, at: int) -> Event | None:
    """Return the rest of the outermost object, where all that follows `at` are the rests of objects within objects."""
    rest = text[at:]
    for _ in range(_LEVELS_CLOSED):
        try:
            value, end = _decoder.raw_decode("{" + rest)
        except (ValueError, RecursionError):
            return None
        rest = rest[end - 1 :].strip(" \t\r\0")
        if not rest:
            return {str(_clean(key)): _clean(item) for key, item in value.items()}
        if rest.startswith("}"):
            return None if rest.strip("} \t") else {}
        if not rest.startswith(","):
            return None
        rest = rest[1:].lstrip()
    return None


def _skip(text: str, at: int) -> int:
    """Return where the white space that begins at `at` ends."""
    while text[at : at + 1] in _SPACES:
        at += 1
    return at
