"""The order in which the chunks of the spools are sent.

Invariants: a chunk is in one claim at a time; new chunks come in the order of their ids, those that were claimed and
not settled come again once their delay is over, before new ones; the spools take turns; one that cannot be read is
left alone for a while. Not safe to use from several threads at once.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.spool import Spool, Spooled


@dataclass(frozen=True, slots=True)
class Claim:
    """Chunks of one spool in the hands of one worker."""

    spool: Spool
    chunks: tuple[Spooled, ...]

    @property
    def body(self) -> bytes:
        """Return their lines, as one request."""
        return self.chunks[0].body if len(self.chunks) == 1 else b"".join(chunk.body for chunk in self.chunks)

    @property
    def size(self) -> int:
        """Return how many bytes that is."""
        return sum(len(chunk.body) for chunk in self.chunks)

    @property
    def events(self) -> int:
        """Return how many events they hold."""
        return sum(chunk.events for chunk in self.chunks)


@dataclass(slots=True)
class Queue:
    """What is known of one spool: the last id that was claimed, what is under way, and what waits until when.

    `failures` counts delays since the last success; `tidy_at` is when file space is given back, if ever; nothing is
    claimed before `rests_until`, and `trouble` says why, nor before `gathers_until`.
    """

    spool: Spool
    cursor: int = 0
    in_flight: set[int] = field(default_factory=set)
    delayed: dict[int, float] = field(default_factory=dict)
    failures: int = 0
    tidy_at: float | None = None
    rests_until: float = 0.0
    gathers_until: float = 0.0
    trouble: str = ""

    def next(self, now: float, max_bytes: int) -> list[Spooled]:
        """Claim the chunks that come next, of up to `max_bytes` together."""
        chunks = self._due(now, max_bytes)
        if not chunks:
            chunks = self.spool.take(self.cursor, max_bytes, skip=self.delayed.keys() | self.in_flight)
            if chunks:
                self.cursor = chunks[-1].id
        self.in_flight.update(chunk.id for chunk in chunks)
        return chunks

    def let_go(self, claim: Claim, *, done: bool) -> None:
        """End a claim; where it is not `done` its chunks come again."""
        self.in_flight.difference_update(chunk.id for chunk in claim.chunks)
        if not done:
            self.delayed.update((chunk.id, 0.0) for chunk in claim.chunks)

    def _due(self, now: float, max_bytes: int) -> list[Spooled]:
        due = sorted(i for i, at in self.delayed.items() if at <= now and i not in self.in_flight)
        if not due:
            return []
        chunks = self.spool.take_again(due, max_bytes)
        last = chunks[-1].id if chunks else due[-1]
        for chunk_id in due:
            if chunk_id <= last:  # Up to there each was taken or is gone.
                del self.delayed[chunk_id]
        return chunks


class Queues:
    """The queues of all spools. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._queues: list[Queue] = []
        self._turn = 0

    @property
    def spools(self) -> list[Spool]:
        """The spools that are sent from."""
        return [queue.spool for queue in self._queues]

    @property
    def in_flight(self) -> bool:
        """Whether anything is claimed."""
        return any(queue.in_flight for queue in self._queues)

    def gathering(self, now: float) -> int:
        """Return in how many spools more events are let gather."""
        return sum(now < queue.gathers_until for queue in self._queues)

    def add(self, spool: Spool) -> None:
        """Send from `spool` too."""
        self._queues.append(Queue(spool))

    def remove(self, spool: Spool) -> bool:
        """Send no more from `spool`; return whether it was possible (nothing of it is in flight)."""
        for queue in self._of(spool):
            if queue.in_flight:
                return False
            self._queues.remove(queue)
        return True

    def claim(self, now: float, max_bytes: int, broken: list[tuple[Spool, Exception]]) -> Claim | None:
        """Return what comes next, if anything; `broken` is given the spools that cannot be read, and why."""
        for step in range(len(self._queues)):
            queue = self._queues[(self._turn + step) % len(self._queues)]
            if now < max(queue.rests_until, queue.gathers_until):
                continue
            try:
                chunks = queue.next(now, max_bytes)
            except (sqlite3.Error, UnusableSpoolError) as error:
                broken.append((queue.spool, error))
                continue
            if chunks:
                self._turn += step + 1
                return Claim(queue.spool, tuple(chunks))
        return None

    def let_go(self, claim: Claim, *, done: bool, tidy_at: float, gathers_until: float = 0.0) -> None:
        """End a claim; where it is not `done` its chunks come again. More is let gather until `gathers_until`."""
        for queue in self._of(claim.spool):
            queue.let_go(claim, done=done)
            queue.tidy_at = tidy_at
            queue.gathers_until = gathers_until
            if done:
                queue.trouble = ""

    def failed(self, spool: Spool) -> int:
        """Count a delay of events of `spool`; return how many there were since the last success."""
        for queue in self._of(spool):
            queue.failures += 1
            return queue.failures
        return 1

    def delay(self, spool: Spool, chunk_id: int, until: float) -> None:
        """Let a chunk come again at `until`."""
        for queue in self._of(spool):
            queue.delayed[chunk_id] = until

    def succeeded(self) -> None:
        """Note a request whose events are all dealt with."""
        for queue in self._queues:
            queue.failures = 0

    def rest(self, spool: Spool, trouble: str, until: float) -> bool:
        """Leave `spool` alone until `until`; return whether that trouble is new."""
        fresh = False
        for queue in self._of(spool):
            fresh = queue.trouble != trouble
            queue.trouble = trouble
            queue.rests_until = until
        return fresh

    def quiet(self, now: float) -> Queue | None:
        """Return a queue whose spool is to be tidied, once."""
        for queue in self._queues:
            if queue.tidy_at is not None and queue.tidy_at <= now:
                queue.tidy_at = None
                return queue
        return None

    def _of(self, spool: Spool) -> Iterator[Queue]:
        return iter([queue for queue in self._queues if queue.spool is spool])
