"""Syslog messages, of RFC 5424 and of RFC 3164 and what is sent in its name.

Program, host, priority and structured data go to their fields; messages of sshd, sudo, su and login mean what
they mean in an authentication log. What has no priority in front is read as the line of a file that such a message
became; what is none either is an event with the whole text and the tag `syslog_parse_failure`. A message without
a time has that of its receipt, one whose time is none keeps it as text, one without a host has that of its sender.
Whoever can send syslog can claim any host, program and time.
"""

import re
from collections.abc import Sequence
from datetime import UTC

from pipeline.events.values import instant_text
from pipeline.sources.formats.authlog import with_meaning
from pipeline.sources.formats.cisco import CiscoMessage, cisco_message
from pipeline.sources.formats.format import TOO_LONG, Event, FormatOptions, Latest, decoded, tags_of
from pipeline.sources.formats.structured_data import split_structured_data
from pipeline.sources.formats.syslog_header import LogClock, Tag, parse_header, parse_tag
from pipeline.sources.lines import CUT

FAILURE = "syslog_parse_failure"
REPEATS_MAX = 100
"""Events that one message can stand for: few, for anyone may send one."""

_PRIORITY = re.compile(r"<(\d{1,3})>")
_PRIORITY_MAX = 191
_RFC5424 = re.compile(
    r"1 (?P<time>\S{1,64}) (?P<host>\S{1,255}) (?P<app>\S{1,128}) (?P<pid>\S{1,128}) (?P<msgid>\S{1,128}) (?P<rest>.*)",
    re.DOTALL,
)
_BOM = "\ufeff"
_NIL = "-"
_LEVELS = ("error", "error", "error", "error", "warn", "info", "info", "debug")
_PID_MAX = 2**31


class Syslog:
    """The format `syslog`."""

    name = "syslog"
    unwraps = False

    __slots__ = ("_clock", "_universal", "unread")

    def __init__(self, options: FormatOptions, latest: Latest) -> None:
        self._clock = LogClock(options.timezone, None, latest)
        self._universal = LogClock(UTC, None, latest)
        self.unread = 0

    def parse(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse`."""
        return self.parse_from(line, None)

    def parse_cut(self, line: bytes) -> Sequence[Event]:
        """See `Format.parse_cut`."""
        return self.parse_from(line.partition(CUT)[0], None, TOO_LONG)

    def parse_from(self, message: bytes, sender: str | None, *tags: str) -> Sequence[Event]:
        """Return the events of a message that the address `sender` sent; all of them carry `tags`."""
        text = decoded(message)
        event: Event = {} if sender is None else {"sender": sender}
        if tags:
            event["tags"] = list(tags)
        match = _PRIORITY.match(text)
        if match is None:
            tag = self._old(event, text, sender, certain=False)
            return (self._failed(event, text),) if tag is None else with_meaning(event, tag, REPEATS_MAX)
        priority = int(match[1])
        if priority > _PRIORITY_MAX:
            return (self._failed(event, text),)
        event["log.syslog.facility.code"], severity = divmod(priority, 8)
        event["log.syslog.severity.code"] = severity
        body = text[match.end() :]
        modern = _RFC5424.match(body)
        tag = self._modern(event, modern, sender) if modern is not None else self._old(event, body, sender)
        events = with_meaning(event, tag or Tag(None, None, None, body), REPEATS_MAX)
        for one in events:
            if "event" not in one:
                one["level"] = _LEVELS[severity]
        return events

    def snapshot(self) -> str:
        """See `Format.snapshot`; there is no state between messages."""
        return ""

    def restore(self, state: str) -> None:
        """See `Format.restore`."""

    def _modern(self, event: Event, match: re.Match[str], sender: str | None) -> Tag:
        if match["time"] != _NIL:
            time_ms = self._clock.full(match["time"])
            event["timestamp"] = match["time"] if time_ms is None else instant_text(time_ms)
        _put(event, "host.name", match["host"] if match["host"] != _NIL or sender is None else sender)
        _put(event, "msgid", match["msgid"])
        split = split_structured_data(match["rest"])
        if split is None:
            event["tags"] = [*tags_of(event), FAILURE]
            text = match["rest"]
        else:
            elements, text = split
            if elements:
                event["structured_data"] = elements
        text = text.removeprefix(_BOM)
        event["message"] = text.removeprefix(" ")
        pid = match["pid"]
        number = int(pid) if pid.isascii() and pid.isdigit() and len(pid) <= 10 else None
        if number is None or number >= _PID_MAX:
            _put(event, "procid", pid)
            number = None
        return Tag(None if match["app"] == _NIL else match["app"], None, number, text)

    def _old(self, event: Event, body: str, sender: str | None, *, certain: bool = True) -> Tag | None:
        """Read what is not RFC 5424; `certain` that it is a message, which may have no header at all."""
        self._clock.resume(None)
        cisco = cisco_message(body)
        if cisco is not None:
            return self._cisco(event, cisco, sender)
        header = parse_header(body, self._clock)
        if header is None and not certain:
            return None
        host, rest = sender, body
        if header is not None:
            event["timestamp"] = header.time
            host, rest = header.host or sender, header.rest
        if host is not None:
            event["host.name"] = host
        tag = parse_tag(rest)
        event["message"] = tag.text
        return tag

    def _cisco(self, event: Event, message: CiscoMessage, sender: str | None) -> Tag:
        clock = self._universal if message.universal else self._clock
        clock.resume(None)
        year = "" if message.year is None else f" {message.year}"
        header = parse_header(f"{message.time}{year} - -", clock)
        if header is not None:
            event["timestamp"] = header.time
        host = message.host or sender
        if host is not None:
            event["host.name"] = host
        event["message"] = message.text
        return Tag(message.facility, None, None, message.text)

    def _failed(self, event: Event, text: str) -> Event:
        self.unread += 1
        event["message"] = text
        event["tags"] = [*tags_of(event), FAILURE]
        return event


def _put(event: Event, name: str, value: str) -> None:
    if value != _NIL:
        event[name] = value
