"""Linux authentication logs: a syslog header, and messages of sshd, sudo, su, login and others.

`message repeated N times: [ … ]` (rsyslog) is N events of what it repeats where that has a code, and so is
sysklogd's `last message repeated N times` after such a line; see `REPEATS_MAX` for the bound. Every other
line is one event without a code. A line whose header cannot be parsed, or whose date does not exist, has the
tag `authlog_parse_failure` and the time of the line before.
"""

import re
from collections.abc import Sequence

import orjson

from pipeline.events.values import instant_text
from pipeline.sources.formats import auth
from pipeline.sources.formats.format import TOO_LONG, Event, FormatOptions, Latest, decoded, tags_of
from pipeline.sources.formats.syslog_header import Header, LogClock, Tag, parse_header, parse_tag
from pipeline.sources.lines import CUT

FAILURE = "authlog_parse_failure"
REPEATS_MAX = 10_000
"""Events that one line can stand for; beyond, the last one carries the tag `repeats_bounded`."""

REPEATS_BOUNDED = "repeats_bounded"
_REPEATED = re.compile(r"message repeated (?P<times>\d{1,9}) times?: \[ ?(?P<text>.*?) ?\]", re.DOTALL)
_LAST_REPEATED = re.compile(r"last message repeated (?P<times>\d{1,9}) times?")


class AuthLog:
    """The format `authlog`."""

    name = "authlog"
    unwraps = False

    __slots__ = ("_clock", "_last", "unread")

    def __init__(self, options: FormatOptions, latest: Latest) -> None:
        self._clock = LogClock(options.timezone, options.year, latest)
        self._last: Event | None = None
        self.unread = 0

    def parse(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse`."""
        text = decoded(line)
        before = self._clock.previous_ms
        header = parse_header(text, self._clock)
        if header is None:
            self._last = None
            return (self._failed(text, before),)
        tag = parse_tag(header.rest)
        last = _LAST_REPEATED.fullmatch(tag.text.rstrip()) if tag.text.startswith("last ") else None
        if last is not None and self._last is not None:
            event = {**self._last, "timestamp": header.time}
            return repeated(event, int(last["times"]))
        events = self._events(header, tag)
        if header.time_ms is None:
            for event in events:
                event["tags"] = [*tags_of(event), FAILURE]
                event.pop("timestamp")
                if before is not None:
                    event["timestamp"] = instant_text(before)
        self._last = events[-1] if "event" in events[-1] else None
        return events

    def parse_cut(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse_cut`."""
        events = self.parse(line.partition(CUT)[0])
        for event in events:
            event["tags"] = [*tags_of(event), TOO_LONG]
        return events

    def snapshot(self) -> str:
        """See `Format.snapshot`."""
        return orjson.dumps({"previous": self._clock.previous_ms}).decode()

    def restore(self, state: str) -> None:
        """See `Format.restore`."""
        try:
            previous = orjson.loads(state)["previous"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return
        self._clock.resume(previous if isinstance(previous, int) else None)

    def _failed(self, text: str, before: int | None) -> Event:
        self.unread += 1
        event: Event = {"message": text, "tags": [FAILURE]}
        if before is not None:
            event["timestamp"] = instant_text(before)
        return event

    @staticmethod
    def _events(header: Header, tag: Tag) -> Sequence[Event]:
        event: Event = {"timestamp": header.time, "message": tag.text}
        if header.host is not None:
            event["host.name"] = header.host
        return with_meaning(event, tag)


def with_meaning(event: Event, tag: Tag, repeats_max: int = REPEATS_MAX) -> Sequence[Event]:
    """Return `event`, whose message `tag` holds, with what that means; several where it stands for several."""
    if tag.name is None:
        return (event,)
    event["process.name"] = tag.name
    if tag.pid is not None:
        event["process.pid"] = tag.pid
    event["service"] = auth.service_of(tag.name)
    text, times = tag.text.lstrip(" "), 1  # RFC 5424 as rsyslog writes it has a space in front of the message
    match = _REPEATED.fullmatch(text.rstrip()) if text.startswith("message repeated ") else None
    if match is not None:
        text, times = match["text"], int(match["times"])
    meaning = auth.meaning(tag.name, tag.module, text)
    if not meaning.fields:
        return (event,)
    event.update(meaning.fields)
    if "event" not in meaning.fields:
        return (event,)
    event["message"] = text
    return repeated(event, times * meaning.times, repeats_max)


def repeated(event: Event, times: int, repeats_max: int = REPEATS_MAX) -> Sequence[Event]:
    """Return `times` copies of an event, at most `repeats_max`, at least one."""
    if times == 1:
        return (event,)
    kept = max(1, min(times, repeats_max))
    events = [event.copy() for _ in range(kept)]
    if times > repeats_max:
        events[-1]["tags"] = [*tags_of(event), REPEATS_BOUNDED]
        events[-1]["repeats"] = times
    return events
