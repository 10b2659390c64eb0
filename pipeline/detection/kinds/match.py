"""`Match`: any event.

Semantics: every instant at which the group has an event is a crossing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pipeline.detection.kind import ByCount, Kind, Memory
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import wrong


@dataclass(frozen=True, kw_only=True)
class Match(Kind):
    """Fires on every event that fits `where`."""

    memory: ClassVar[Memory] = Memory.LAST

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a match counts nothing; use Severity.HIGH")
        if not self.where:
            raise wrong("where", self.where, "name the events to match, such as {'event.code': 'MFA_DISABLED'}")

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return 0

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is that of the events at the instant."""
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            yield Crossing(instant, instant, sum(row.count for row in rows))

    def summary(self) -> str:
        """See `Kind.summary`."""
        return "any event"
