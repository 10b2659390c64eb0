"""`Threshold`: N events of a group within a window.

Semantics: an instant `t` is a crossing where the last `at_least` of the group's events up to and including
those at `t` lie within the window, that is, last − first < `within` in milliseconds.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Memory, levels_fit
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import duration, whole


@dataclass(frozen=True, kw_only=True)
class Threshold(Kind):
    """Fires when a group has `at_least` events `within` so many milliseconds."""

    at_least: int
    within: int

    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    memory: ClassVar[Memory] = Memory.LAST

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("at_least", self.at_least)
        duration("within", self.within)
        levels_fit(self)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def depth(self) -> int:
        """See `Kind.depth`."""
        top = self.severity.top if isinstance(self.severity, ByCount) else self.at_least
        return max(top, self.at_least) - 1

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count of a crossing is the highest level it reaches."""
        levels = self.severity.levels if isinstance(self.severity, ByCount) else ((self.at_least, None),)
        top = levels[-1][0]
        recent: deque[tuple[int, int]] = deque()  # (instant, events), enough to hold the last `top` events
        held = 0
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            events = sum(row.count for row in rows)
            recent.append((instant, events))
            held += events
            while held - recent[0][1] >= top:
                held -= recent.popleft()[1]
            for count, severity in reversed(levels):
                if held < count:
                    continue
                first = recent[0][0] if count == top else _first_of_last(recent, count)
                if instant - first < self.within:
                    yield Crossing(instant, first, count, severity)
                    break

    def summary(self) -> str:
        """See `Kind.summary`."""
        events = "event" if self.at_least == 1 else "events"
        return f"{self.at_least} {events} within {duration_text(self.within)}"


def _first_of_last(recent: deque[tuple[int, int]], count: int) -> int:
    """Return the instant of the first of the last `count` events."""
    left = count
    for instant, events in reversed(recent):
        left -= events
        if left <= 0:
            return instant
    raise ValueError("fewer events than asked for")
