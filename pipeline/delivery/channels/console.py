"""Alerts on the terminal, for those who have configured no other channel. Written to standard error."""

import sys
from typing import TextIO

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure
from pipeline.settings import Settings


class ConsoleChannel:
    """Writes two lines for each alert."""

    name = "console"
    actions = frozenset(Action)
    reaches_people = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        stream = self._stream or sys.stderr
        encoding = getattr(stream, "encoding", None) or "utf-8"
        lines = [notice.heading, f"    {notice.summary}", *(f"    {line}" for line in notice.examples)]
        lines.append(f"    alert {notice.alert_id}: siemlite alerts show {notice.alert_id[:12]}")
        text = "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise SendError(Failure(f"the console cannot be written: {error}")) from error

    def close(self) -> None:
        """See `Channel.close`."""


def channel(settings: Settings, clock: Clock) -> Channel:
    """Return the console, which is always there; routing uses it where nothing else is."""
    del settings, clock
    return ConsoleChannel()
