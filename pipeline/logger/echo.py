"""Copies of the events for people on this machine: `security.log` and the console, when asked for.

Invariants: only encoded, that is redacted, bodies are written; a line cannot steer a terminal (control
characters are escaped); a copy that fails, or that nobody takes, is told once and never keeps events from the spool;
an application that logs what is written to standard error gets no event of a copy, which would be copied again,
without end.
"""

import os
import re
import select
import sys
import threading
from collections.abc import Sequence
from typing import Any

import orjson

from pipeline.clock import Clock
from pipeline.events.encoded import INGESTED, Encoded
from pipeline.events.values import INVISIBLE, counted
from pipeline.logger.local import RotatingFile
from pipeline.logger.notices import LOG, Notices

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FILE = "security.log"
_CONSOLE = "console"
_LEFT_ALONE_SECONDS = 60.0
_PIECE = 1_000
"""Letters, of up to four bytes: a pipe that has room takes so many without waiting (PIPE_BUF, pipe(7))."""

_ROOM_SECONDS, _UNREAD_SECONDS = 1.0, 10.0
"""How long to wait for room on standard error, and how long to write nothing there where there was none."""

_here = threading.local()


def is_echoing() -> bool:
    """Return whether the calling thread is writing a copy to the console."""
    return getattr(_here, "echoing", False)


class Echo:
    """Writes the copies; `file` and `console` are off where they are `None` and false. For one thread."""

    def __init__(self, file: RotatingFile | None, notices: Notices, clock: Clock, *, console: bool) -> None:
        self._file = file
        self._clock = clock
        self._left_alone_until = 0.0
        self._console = console
        self._notices = notices
        self._missing = 0
        self._unread = 0
        self._unread_until = 0.0

    def write(self, events: Sequence[Encoded]) -> None:
        """Write each of `events` once."""
        if self._file is not None and events:
            self._write_file(self._file, [line_of(event) for event in events])
        if self._console and events:
            self._write_console(events)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write_file(self, file: RotatingFile, lines: Sequence[bytes]) -> None:
        if self._clock.monotonic() < self._left_alone_until:
            self._missing += len(lines)
            return
        try:
            file.write(lines)
        except OSError as error:
            self._missing += len(lines)
            reason = os.strerror(error.errno or 0)
            self._notices.trouble(
                _FILE, f"SIEMLITE_SECURITY_LOG {file.path} cannot be written: {reason}; let this user write there"
            )
            if isinstance(error, BlockingIOError):  # Waiting again for each group would keep them from the spool.
                self._left_alone_until = self._clock.monotonic() + _LEFT_ALONE_SECONDS
        else:
            self._notices.over(
                _FILE, f"SIEMLITE_SECURITY_LOG is written again; {counted(self._missing, 'line')} missing in it"
            )
            self._missing = 0

    def _write_console(self, events: Sequence[Encoded]) -> None:
        stream = sys.stderr
        if stream is None:
            return
        if self._clock.monotonic() < self._unread_until:
            self._unread += len(events)
            return
        _here.echoing = True
        try:
            if stream.isatty():
                text = "".join(f"{readable(orjson.loads(event.body))}\n" for event in events)
            else:
                text = b"".join(line_of(event) for event in events).decode()
            for start in range(0, len(text), _PIECE):
                if not _has_room(stream):
                    self._unread += len(events)
                    self._unread_until = self._clock.monotonic() + _UNREAD_SECONDS
                    return
                stream.write(text[start : start + _PIECE])
                stream.flush()
        except Exception as error:  # noqa: BLE001 - an application may have put anything in its place
            self._notices.trouble(_CONSOLE, f"SIEMLITE_CONSOLE: standard error cannot be written: {error}")
        else:
            if self._unread:  # told only now: whoever is told earlier is told on standard error
                lines = counted(self._unread, "line")
                LOG.warning("SIEMLITE_CONSOLE: standard error was not read; %s missing there", lines)
                self._unread = 0
        finally:
            _here.echoing = False


def _has_room(stream: Any) -> bool:
    """Return whether a piece can be written to `stream` without waiting, as far as that can be told."""
    try:
        room = select.poll()
        room.register(stream.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):  # what is no file takes all
        return True
    return bool(room.poll(_ROOM_SECONDS * 1000))


def line_of(event: Encoded) -> bytes:
    """Return the document of `event` as a line of JSON, without the field that is set at sending."""
    body = event.body[len(INGESTED) :]
    if not body.isascii() or b"\x7f" in body:
        body = INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", body.decode()).encode()
    return b"{" + body + b"\n"


def readable(document: dict[str, Any]) -> str:
    """Return one line for a person: time, level, code, who, from where, message."""
    parts = [document["@timestamp"], _at(document, "log", "level").upper().ljust(5), _at(document, "event", "code")]
    for label, *path in (
        ("service", "service", "name"),
        ("user", "user", "id"),
        ("from", "source", "address"),
        ("reason", "event", "reason"),
    ):
        value = _at(document, *path)
        if value:
            parts.append(f"{label}={value}")
    parts.append(_at(document, "message"))
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", " ".join(part for part in parts if part))


def _at(document: dict[str, Any], *path: str) -> str:
    value: Any = document
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
