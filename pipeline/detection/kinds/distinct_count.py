"""`DistinctCount`: N different values of a field for a group within a window.

Semantics: an instant `t` at which the group has an event is a crossing where `field` has at least `at_least`
different values among the group's events in `(t - within, t]`. Events without the field are not looked at; each of
several values of one event counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Memory, levels_fit
from pipeline.detection.timeline import Crossing, Scalar, Timeline
from pipeline.detection.validation import duration, field_name, whole, wrong


@dataclass(frozen=True, kw_only=True)
class DistinctCount(Kind):
    """Fires when `field` has `at_least` different values for a group `within` so many milliseconds."""

    field: str
    at_least: int
    within: int

    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    memory: ClassVar[Memory] = Memory.LAST_OF_EACH

    def __post_init__(self) -> None:
        super().__post_init__()
        field_name("field", self.field)
        if self.field in self.group:
            raise wrong("field", self.field, "count a field that is not in group_by")
        whole("at_least", self.at_least, 2)
        duration("within", self.within)
        levels_fit(self)

    @property
    def required(self) -> tuple[str, ...]:
        """See `Kind.required`."""
        return (self.field,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Kind.columns`."""
        return (self.field,)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def depth(self) -> int:
        """See `Kind.depth`."""
        return max(self.severity.top if isinstance(self.severity, ByCount) else 0, self.at_least)

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    @property
    def values_of(self) -> str:
        """See `Kind.values_of`."""
        return self.field

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count of a crossing is the highest level it reaches."""
        levels = self.severity.levels if isinstance(self.severity, ByCount) else ((self.at_least, None),)
        latest: dict[tuple[Scalar, ...], int] = {}  # in the order of the latest event, oldest first
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            for row in rows:
                latest.pop(row.values, None)
                latest[row.values] = instant
            while instant - latest[oldest := next(iter(latest))] >= self.within:
                del latest[oldest]
            found = None
            for count, severity in levels:
                if len(latest) < count:
                    break
                found = Crossing(instant, self._first_of_last(latest, count), count, severity)
            if found is not None:
                yield found

    @staticmethod
    def _first_of_last(latest: dict[tuple[Scalar, ...], int], count: int) -> int:
        times = reversed(latest.values())
        instant = 0
        for _ in range(count):
            instant = next(times)
        return instant

    def summary(self) -> str:
        """See `Kind.summary`."""
        return f"{self.at_least} values of {self.field} within {duration_text(self.within)}"
