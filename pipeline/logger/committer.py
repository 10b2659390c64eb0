"""What the writer thread does with events: commit them to this process's own spool, or account for them.

Invariants: the spool is opened here and nowhere else in the logger; when the spool nears its bound, info is
shed before warn before error, each shed event is in the ledger, and the last of the bound is kept for the
`LOG_GAP` events that state it; a commit that fails leaves its events with the caller.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import RetryableError
from pipeline.events.identity import WRITER_BYTES, WriterIds
from pipeline.logger.encoding import TwoSteps
from pipeline.logger.gaps import GapLedger
from pipeline.logger.handover import RANKS, Ready
from pipeline.shipping.database import FAILURES
from pipeline.shipping.spool import Chunk, SpoolFullError
from pipeline.shipping.spools import OwnedSpool, Spools

CHUNK_BYTES = 1024 * 1024
SPOOL_FULL = "spool full"
_INFO_SHARE, _WARN_SHARE = 0.8, 0.9
_GAPS_SHARE, _GAPS_LEAST = 0.02, 16 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bytes that a spool may hold before an event of rank 0, 1 or 2 is shed."""

    by_rank: tuple[int, int, int]

    @classmethod
    def of(cls, max_bytes: int) -> "Bounds":
        """Return the bounds of a spool that holds at most `max_bytes`."""
        error = max_bytes - max(int(max_bytes * _GAPS_SHARE), _GAPS_LEAST)
        return cls((int(max_bytes * _INFO_SHARE), int(max_bytes * _WARN_SHARE), error))


class Committer:
    """Owns this process's spool. For one thread."""

    def __init__(self, folder: Path, max_bytes: int, ledger: GapLedger, steps: TwoSteps, clock: Clock) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bounds = Bounds.of(max_bytes)
        self._ledger = ledger
        self._steps = steps
        self._clock = clock
        self._owned: OwnedSpool | None = None
        self._held_at_most = 0
        self._ids = WriterIds(secrets.token_bytes(WRITER_BYTES))

    def commit(self, items: list[Ready]) -> None:
        """Make `items` durable; shed ones are accounted for and removed from the list.

        Raises one of `FAILURES`, and then nothing of what is left in `items` is durable.
        """
        owned = self._open()
        sized = self._shed(owned, items)
        if not sized:
            return
        try:
            owned.spool.append(list(_chunks(sized)), {}, self._clock.now_ms())
        except SpoolFullError:
            raise
        except FAILURES:
            self.close()  # A damaged database heals by taking a new one; the old one is adopted by a shipper.
            raise
        self._held_at_most += sum(len(lines) for lines, _ in sized)

    def state_gaps(self) -> None:
        """Write a `LOG_GAP` event for each gap in the ledger; raises one of `FAILURES` and keeps the gaps."""
        gaps = self._ledger.take()
        if not gaps:
            return
        try:
            owned = self._open()
            now_ms = self._clock.now_ms()
            events = [self._steps.both(gap.raw(service), self._ids.next(), now_ms) for service, gap in gaps.items()]
            lines = b"".join(event.lines() for event in events)
            owned.spool.append([Chunk(lines, len(events), RANKS["error"])], {}, now_ms)
        except BaseException:
            self._ledger.put_back(gaps)
            raise
        self._held_at_most += len(lines)

    def close(self) -> None:
        """Give the spool up; the next commit takes a new one."""
        if self._owned is not None:
            owned, self._owned = self._owned, None
            with suppress(*FAILURES):
                owned.spool.close()
            owned.lock.release()

    def _open(self) -> OwnedSpool:
        if self._owned is not None and not self._owned.spool.path.exists():
            self.close()  # Removed under our feet: what is written there now would be gone with the process.
        if self._owned is None:
            self._owned = Spools(self._folder, self._max_bytes).for_writer()
            self._held_at_most = 0
        return self._owned

    def _shed(self, owned: OwnedSpool, items: list[Ready]) -> list[tuple[bytes, int]]:
        """Remove from `items` what has no room; return lines and rank of each that stays."""
        sized = [(item.encoded.lines(), item.rank) for item in items]
        if self._held_at_most + sum(len(lines) for lines, _ in sized) <= self._bounds.by_rank[0]:
            return sized
        held = owned.spool.depth().bytes
        kept: list[tuple[bytes, int]] = []
        kept_items: list[Ready] = []
        for item, (lines, rank) in zip(items, sized, strict=True):
            if held + len(lines) <= self._bounds.by_rank[rank]:
                held += len(lines)
                kept.append((lines, rank))
                kept_items.append(item)
            else:
                self._turn_away(item)
        items[:] = kept_items
        self._held_at_most = held - sum(len(lines) for lines, _ in kept)
        return kept

    def _turn_away(self, item: Ready) -> None:
        if item.ticket is None:
            self._ledger.add(item.service, item.rank, item.received_ms, SPOOL_FULL)
        else:
            item.ticket.resolve(SpoolFullError("the spool is full (SIEMLITE_SPOOL_MAX_BYTES); the event is not kept"))


def _chunks(sized: Sequence[tuple[bytes, int]]) -> Iterator[Chunk]:
    lines: list[bytes] = []
    ranks: set[int] = set()
    size = 0
    for line, rank in sized:
        if lines and size + len(line) > CHUNK_BYTES:
            yield _chunk(lines, ranks)
            lines, ranks, size = [], set(), 0
        lines.append(line)
        ranks.add(rank)
        size += len(line)
    if lines:
        yield _chunk(lines, ranks)


def _chunk(lines: Sequence[bytes], ranks: set[int]) -> Chunk:
    return Chunk(b"".join(lines), len(lines), next(iter(ranks)) if len(ranks) == 1 else -1)


def not_durable(error: BaseException) -> RetryableError:
    """Return the error that a caller of `durable=True` gets for `error`."""
    return RetryableError(f"the event is not on disk: {error}")
