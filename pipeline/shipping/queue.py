"""The order in which the chunks of one spool are sent.

Invariants: a chunk is in one claim at a time; new chunks come in the order of their ids, those that were claimed and
not settled come again once their delay is over, before new ones. Not safe to use from several threads at once.
"""

from dataclasses import dataclass, field

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

    `failures` counts delays since the last success; `tidy_at` is when file space is given back, if ever.
    """

    spool: Spool
    cursor: int = 0
    in_flight: set[int] = field(default_factory=set)
    delayed: dict[int, float] = field(default_factory=dict)
    failures: int = 0
    tidy_at: float | None = None

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
