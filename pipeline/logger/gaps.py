"""The account of what was shed: nothing is ever missing without a `LOG_GAP` event that counts it.

Invariants: every shed event is counted once, by service and level, until an event that states the count is
durable; counting takes no disk and may interrupt itself (a signal handler).
"""

from dataclasses import dataclass, field
from typing import Any

from pipeline.events.catalogue import LEVELS
from pipeline.events.own import gap_event
from pipeline.events.values import counted
from pipeline.threads import RLock


@dataclass(slots=True)
class Gap:
    """What was shed of one service's events: counts by rank, first and last receipt, and why."""

    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    first_ms: int = 0
    last_ms: int = 0
    reasons: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        """How many events were shed."""
        return sum(self.counts)

    def raw(self, service: str) -> dict[str, Any]:
        """Return the event that states this gap, in the form that is redacted and shaped like any other."""
        by_level = dict(zip(LEVELS, self.counts, strict=True))
        listed = ", ".join(f"{count} {level}" for level, count in by_level.items() if count)
        return gap_event(
            service,
            self.total,
            self.first_ms,
            self.last_ms,
            message=f"{counted(self.total, 'event')} shed and lost: {listed}",
            reason=", ".join(sorted(self.reasons)),
            by_level=by_level,
        )


class GapLedger:
    """The gaps not yet stated, by service."""

    __slots__ = ("_gaps", "_lock", "changes")  # As in `Handover`.

    def __init__(self) -> None:
        self._lock = RLock()
        self._gaps: dict[str, Gap] = {}
        self.changes = 0

    def add(self, service: str, rank: int, received_ms: int, reason: str) -> None:
        """Count one shed event."""
        with self._lock:
            gap = self._gaps.setdefault(service, Gap())
            gap.reasons.add(reason)
            # No call between reading and writing: a signal handler that runs in between would be forgotten.
            gap.counts[rank] += 1
            self.changes += 1
            if not gap.first_ms or received_ms < gap.first_ms:
                gap.first_ms = received_ms
            gap.last_ms = max(gap.last_ms, received_ms)

    def take(self) -> dict[str, Gap]:
        """Return the gaps and begin anew."""
        with self._lock:
            gaps, self._gaps = self._gaps, {}
            return gaps

    def put_back(self, gaps: dict[str, Gap]) -> None:
        """Take back gaps that could not be stated."""
        with self._lock:
            for service, gap in gaps.items():
                known = self._gaps.setdefault(service, Gap())
                known.counts = [one + other for one, other in zip(known.counts, gap.counts, strict=True)]
                known.reasons |= gap.reasons
                known.first_ms = min(gap.first_ms, known.first_ms or gap.first_ms)
                known.last_ms = max(gap.last_ms, known.last_ms)

    @property
    def total(self) -> int:
        """How many shed events wait to be stated."""
        with self._lock:
            return sum(gap.total for gap in self._gaps.values())

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be stated."""
        return not self._gaps
