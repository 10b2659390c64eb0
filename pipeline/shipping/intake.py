"""The intake: raw events in, chunks in the spool, in the order they came.

Invariants: an event is encoded when it is taken, so its source may change it afterwards; a source's
positions become durable in the same transaction as the last event that they cover, never before; a chunk is
bounded in events and bytes.
"""

import logging
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.clock import Clock
from pipeline.errors import RetryableError
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.identity import WRITER_BYTES, WriterIds
from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.spool import Chunk, Spool
from pipeline.told import Told

CHUNK_BYTES = 1024 * 1024
CHUNK_EVENTS = 2_000
_RETRY_SECONDS = 0.1
_FLOWS_SECONDS = 60.0
"""How long nothing must have waited before it is said again that reading does: where more is read than can be sent,
every chunk waits a little.
"""

_BELIEVED_MS = 90 * 86_400_000
"""How far from now a file's last change may be: beyond that it was set by hand, or by a copy that keeps no times."""


_log = logging.getLogger(__name__)


Record = tuple[Mapping[str, object], str | None, bool]
"""A raw event of a source, its id (without one it is numbered here), and whether it may take the short way."""


class Batch(Protocol):
    """What a source yields: events, and the positions behind them."""

    @property
    def records(self) -> Sequence[Record]: ...
    @property
    def positions(self) -> Mapping[str, str]: ...
    @property
    def received_ms(self) -> int | None: ...


class Intake:
    """Encodes events and appends them to `spool`; for one thread.

    `live` sources produce events as they happen: each batch becomes durable at once.
    """

    def __init__(self, spool: Spool, encoder: Encoder, clock: Clock, *, live: bool) -> None:
        self._spool = spool
        self._encoder = encoder
        self._clock = clock
        self._live = live
        self._lines: list[bytes] = []
        self._size = 0
        self._positions: dict[str, str] = {}
        self._waits = Told(_FLOWS_SECONDS)
        self.events = 0
        self._ids = WriterIds(secrets.token_bytes(WRITER_BYTES))

    def drain(self, batches: Iterable[Batch], stop: threading.Event) -> bool:
        """Take everything that a source yields; return whether all that was taken is durable.

        A source ends by itself at `stop`; what it has read until then is taken, as perhaps nobody can read it again.
        """
        for batch in batches:
            drafts = [
                Draft(event, event_id or self._ids.next(), None, None, short)
                for event, event_id, short in batch.records
            ]
            if not self.take(drafts, batch.positions, stop, batch.received_ms) or (self._live and not self.flush(stop)):
                if not batch.positions:
                    self._tell_lost(batches)
                return False
        if self.flush(stop):
            return True
        self._tell_lost(())
        return False

    def _tell_lost(self, rest: Iterable[Batch]) -> None:
        """Say how many events were read of what cannot be read again, and cannot be kept; `rest` was read as well."""
        lost = len(self._lines) + sum(len(batch.records) for batch in rest)
        if lost and not self._positions:
            _log.error("%d events that were read are lost: the spool was full, or its disk, until the end", lost)

    @property
    def pending(self) -> bool:
        """Return whether something waits for `flush`."""
        return bool(self._lines or self._positions)

    def take(
        self,
        drafts: Sequence[Draft],
        positions: Mapping[str, str],
        stop: threading.Event,
        received_ms: int | None = None,
    ) -> bool:
        """Take events and the positions behind them; see `flush` for `stop` and the result.

        `received_ms` is when they were received, where that is not now; one far from now is not believed.
        """
        now_ms = self._clock.now_ms()
        if received_ms is None or abs(now_ms - received_ms) > _BELIEVED_MS:
            received_ms = now_ms
        encoded = self._encoder.encode(drafts, received_ms, live=self._live)
        lines = [event.lines() for event in encoded]
        self._lines += lines
        self._size += sum(map(len, lines))
        self._positions.update(positions)
        if self._size >= CHUNK_BYTES or len(self._lines) >= CHUNK_EVENTS:
            return self.flush(stop)
        return True

    def flush(self, stop: threading.Event) -> bool:
        """Make what was taken durable, waiting, and saying so once, while the spool is full or its disk fails.

        Raises `UnusableSpoolError` where the spool is damaged. Returns whether it is durable; not so only when `stop`
        was set while the spool was full, and then the source's positions have not moved either.
        """
        if not self.pending:
            return True
        chunks = [Chunk(b"".join(self._lines), len(self._lines))] if self._lines else []
        waited = False
        while True:
            try:
                self._spool.append(chunks, self._positions, self._clock.now_ms())
                break
            except UnusableSpoolError:
                raise
            except RetryableError as error:
                waited = True
                if self._waits.fresh(str(error), self._clock.monotonic()):
                    _log.warning("reading waits: %s", error)
                if self._clock.wait(stop, _RETRY_SECONDS):
                    return False
        if not waited and self._waits.over(self._clock.monotonic()):
            _log.warning("reading waits no more")
        self.events += len(self._lines)
        self._lines, self._size, self._positions = [], 0, {}
        return True
