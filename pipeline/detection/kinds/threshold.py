"""`Threshold`: N events of a group within a window.

Semantics: an instant `t` is a crossing where the last `at_least` of the group's events up to and including
those at `t` lie within the window, that is, last − first < `within` in milliseconds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Memory, Totals, duration, levels_fit, whole
from pipeline.detection.timeline import Crossing, Timeline


@dataclass(frozen=True, kw_only=True)
class Threshold(Kind):
    """Fires when a group has `at_least` events `within` so many milliseconds."""

    at_least: int
    within: int

    memory: ClassVar[Memory] = Memory.LAST

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("at_least", self.at_least)
        duration("within", self.within)
        levels_fit(self.severity, self.at_least)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def depth(self) -> int:
        """See `Kind.depth`."""
        top = self.severity.top if isinstance(self.severity, ByCount) else self.at_least
        return max(top, self.at_least) - 1

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        return totals.events >= self.at_least

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count of a crossing is the highest level it reaches."""
        levels = self.severity.levels if isinstance(self.severity, ByCount) else ((self.at_least, None),)
        times: list[int] = []
        before: list[int] = []
        held = 0
        index = 0
        while index < len(timeline):
            instant = timeline[index].time_ms
            while index < len(timeline) and timeline[index].time_ms == instant:
                before.append(held)
                times.append(instant)
                held += timeline[index].count
                index += 1
            found = None
            for count, severity in levels:
                first = _instant_of(before, times, held - count)
                if first is None or instant - first >= self.within:
                    break
                found = Crossing(instant, first, count, severity)
            if found is not None:
                yield found

    def summary(self) -> str:
        """See `Kind.summary`."""
        events = "event" if self.at_least == 1 else "events"
        return f"{self.at_least} {events} within {duration_text(self.within)}"


def _instant_of(before: list[int], times: list[int], ordinal: int) -> int | None:
    """Return the instant of the event number `ordinal` (from 0); `before[i]` events precede row `i`."""
    if ordinal < 0:
        return None
    return times[bisect_right(before, ordinal) - 1]
