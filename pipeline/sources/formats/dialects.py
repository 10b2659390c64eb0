"""What JSON loggers other than the common application format's call things, and what containers wrap lines in.

- A time: `time` (pino, bunyan, logrus, zerolog, slog, Docker), `ts` (zap), `@t` (Serilog), `asctime` (Python),
  `eventTime` (CloudTrail); a message: `msg`, `@m`, and an `event` of several words, which is what structlog calls it.
- Docker's `json-file` driver wraps each line in `{"log": …, "stream": …, "time": …}`, Kubernetes' CRI writes
  `TIME stdout F LINE`.

Invariants: pure; nothing that the event says by its proper name is replaced; a value that is no instant of this
century is no time.
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo

from pipeline.events.values import instant, instant_text
from pipeline.sources.formats.format import Event

_TIMES = ("time", "ts", "@t", "asctime", "eventTime")
_MESSAGES = ("msg", "@m")
_YEAR_2000_MS = 946_684_800_000
WRAPPER = frozenset({"log", "stream", "time", "attrs"})
"""What a line of Docker's `json-file` driver may hold."""

STREAMS = ("stdout", "stderr")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[!-~]{8,30}")
CRI = re.compile(
    rb"(?P<time>" + TIME.pattern.encode() + rb") (?P<stream>stdout|stderr) (?P<flag>[FP]) (?P<line>.*)", re.DOTALL
)
"""A line as CRI's runtimes write it; `P` where the program's own goes on in the next of the same stream."""


def in_common_form(event: Event) -> None:
    """Give time and message of `event` their names in the common application format, where it has neither."""
    if "timestamp" not in event and "@timestamp" not in event:
        for name in _TIMES:
            found = instant(event.get(name))
            if found is not None and found.ms >= _YEAR_2000_MS:
                event["timestamp"] = event.pop(name)
                break
    if "message" in event:
        return
    for name in _MESSAGES:
        if isinstance(event.get(name), str):
            event["message"] = event.pop(name)
            return
    told = event.get("event")
    if isinstance(told, str) and " " in told:
        event["message"] = event.pop("event")


def in_zone(event: Event, zone: tzinfo) -> None:
    """Write the time of `event` as an instant where it names no offset: it is local time in `zone`."""
    for name in ("timestamp", "@timestamp"):
        written = event.get(name)
        if not isinstance(written, str):
            continue
        try:
            moment = datetime.fromisoformat(written)
            if moment.tzinfo is None:
                event[name] = instant_text(round(moment.replace(tzinfo=zone).timestamp() * 1000))
        except (ValueError, OverflowError):
            continue


def unwrapped(written: bytes | Mapping[str, object]) -> tuple[str, str] | None:
    """Return the line that a container wrote, and when, where `written` is what Docker or CRI made of it."""
    if isinstance(written, bytes):
        match = CRI.fullmatch(written)
        if match is None:
            return None
        return match["line"].decode("utf-8", "backslashreplace").rstrip("\r\n"), match["time"].decode()
    line, time = written.get("log"), written.get("time")
    if not isinstance(line, str) or not isinstance(time, str) or not written.keys() <= WRAPPER:
        return None
    return (line.rstrip("\r\n"), time) if written.get("stream") in STREAMS else None
