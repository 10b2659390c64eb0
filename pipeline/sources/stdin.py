"""Reading a stream as it comes: `siemlite ship -`.

Invariants: what has arrived is given out at once, never held back for more; a line is given out when it is
complete, the last one at the end of the stream or at `stop`. A stream cannot be read again, so its events are
numbered by the shipper, and what was not yet spooled is lost with the process.
"""

import fcntl
import os
import select
import sys
import threading
from collections.abc import Iterator

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.sources.formats.format import FormatFactory
from pipeline.sources.lines import BLOCK_BYTES
from pipeline.sources.pieces import cutter_of
from pipeline.sources.reading import RecordMaker
from pipeline.sources.record import Batch

_IDLE_MS = 250


class StreamSource:
    """Reads the file descriptor `stream` to its end, or until `stop`."""

    def __init__(self, stream: int, make_format: FormatFactory, stop: threading.Event, clock: Clock) -> None:
        self._stream = stream
        self._stop = stop
        self._maker = RecordMaker(make_format(clock.now_ms), None)
        self.bytes_read = 0
        self.bytes_total = 0

    @property
    def unread_lines(self) -> int:
        """The lines that are not of the format at all."""
        return self._maker.format.unread

    def batches(self) -> Iterator[Batch]:
        """See `Source.batches`."""
        cutter = cutter_of(self._maker.format)
        poll = select.poll()
        poll.register(self._stream, select.POLLIN)
        while not self._stop.is_set():
            if not poll.poll(_IDLE_MS):
                yield Batch()
                continue
            block = os.read(self._stream, BLOCK_BYTES)
            if not block:
                break
            self.bytes_read = self.bytes_total = self.bytes_read + len(block)
            for records, _ in self._maker.batches(cutter.feed(block), cutter):
                yield Batch(records)
        for records, _ in self._maker.batches(cutter.finish(), cutter):
            yield Batch(records)


def stdin_source(make_format: FormatFactory, stop: threading.Event, clock: Clock) -> StreamSource:
    """Return what reads standard input. Raises `ConfigurationError` where the process has none."""
    if sys.stdin is None:
        raise ConfigurationError("standard input is closed; name a file, or feed events through a pipe")
    if fcntl.fcntl(sys.stdin.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        raise ConfigurationError("standard input cannot be read; name a file, or feed events through a pipe")
    return StreamSource(sys.stdin.fileno(), make_format, stop, clock)
