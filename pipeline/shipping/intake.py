"""The intake: raw events in, chunks in the spool, in the order they came.

Invariants: an event is encoded when it is taken, so its source may change it afterwards; a source's
positions become durable in the same transaction as the last event that they cover, never before; a chunk is
bounded in events and bytes.
"""

import threading
from collections.abc import Mapping, Sequence

from pipeline.clock import Clock
from pipeline.events.encoded import Encoded
from pipeline.events.encoder import Draft, Encoder
from pipeline.shipping.spool import Chunk, Spool, SpoolFullError

CHUNK_BYTES = 1024 * 1024
CHUNK_EVENTS = 2_000
_RETRY_SECONDS = 0.1


class Intake:
    """Encodes drafts and appends them to `spool`; for one thread."""

    def __init__(self, spool: Spool, encoder: Encoder, clock: Clock, *, live: bool) -> None:
        self._spool = spool
        self._encoder = encoder
        self._clock = clock
        self._live = live
        self._lines: list[bytes] = []
        self._size = 0
        self._positions: dict[str, str] = {}
        self.events = 0

    @property
    def pending(self) -> bool:
        """Return whether something waits for `flush`."""
        return bool(self._lines or self._positions)

    def take(self, drafts: Sequence[Draft], positions: Mapping[str, str], stop: threading.Event) -> bool:
        """Take events and the positions behind them; see `flush` for `stop` and the result."""
        encoded = self._encoder.encode(drafts, self._clock.now_ms(), live=self._live)
        for event in encoded:
            self._add(event)
        self._positions.update(positions)
        if self._size >= CHUNK_BYTES or len(self._lines) >= CHUNK_EVENTS:
            return self.flush(stop)
        return True

    def flush(self, stop: threading.Event) -> bool:
        """Make what was taken durable, waiting while the spool is full.

        Returns whether it is; not so only when `stop` was set while the spool was full, and then the
        source's positions have not moved either.
        """
        if not self.pending:
            return True
        chunks = [Chunk(b"".join(self._lines), len(self._lines))] if self._lines else []
        while True:
            try:
                self._spool.append(chunks, self._positions, self._clock.now_ms())
                break
            except SpoolFullError:
                if self._clock.wait(stop, _RETRY_SECONDS):
                    return False
        self.events += len(self._lines)
        self._lines, self._size, self._positions = [], 0, {}
        return True

    def _add(self, event: Encoded) -> None:
        lines = event.lines()
        self._lines.append(lines)
        self._size += len(lines)
