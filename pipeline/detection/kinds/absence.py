"""`Absence`: nothing from a group that used to report.

Semantics: where the group has an event at `e` and none in `(e, e + within]`, and had at least `at_least` events
in `(e - known_for, e]`, the instant `e + within` is a crossing. The kind follows the clock.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Totals
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import WINDOW_MAX_MS, duration, whole, wrong


@dataclass(frozen=True, kw_only=True)
class Absence(Kind):
    """Fires when a group that had `at_least` events in `known_for` milliseconds has none for `within`."""

    within: int
    at_least: int = 1
    known_for: int = 0

    follows_clock: ClassVar[bool] = True
    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    further_windows: ClassVar[tuple[str, ...]] = ("known_for",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "nothing cannot be counted; use Severity.HIGH")
        duration("within", self.within)
        whole("at_least", self.at_least)
        duration("known_for", self.known_for, zero=True)
        if self.within + self.known_ms > WINDOW_MAX_MS:
            raise wrong("known_for", self.known_for, "keep both windows within 366 days")

    @property
    def known_ms(self) -> int:
        """Return the time in which a group must have reported; that of the window where none is given."""
        return self.known_for or self.within

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within + self.known_ms - 1

    @property
    def delay_ms(self) -> int:
        """See `Kind.delay_ms`."""
        return self.within

    @property
    def earliest_ms(self) -> int:
        """See `Kind.earliest_ms`."""
        return self.within

    @property
    def edges(self) -> tuple[int, ...]:
        """See `Kind.edges`."""
        return (self.within, self.within + self.known_ms)

    def probes(self, first_ms: int, last_ms: int) -> tuple[tuple[int, int], ...]:
        """See `Kind.probes`: what lies in every time that would have to be silent."""
        return ((last_ms - self.within + 1, first_ms),)

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        return totals.events >= self.at_least and (totals.probes is None or totals.probes[0] == 0)

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:
        """See `Kind.crossings`. The count is that of the events when the group still reported."""
        recent: deque[tuple[int, int]] = deque()
        events = 0
        last: tuple[int, int] | None = None  # the instant of an event, and the events known then
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            if last is not None and instant - last[0] > self.within:
                found = self._crossing(last, now_ms)
                if found is not None:
                    yield found
            recent.append((instant, sum(row.count for row in rows)))
            events += recent[-1][1]
            while instant - recent[0][0] >= self.known_ms:
                events -= recent.popleft()[1]
            last = (instant, events)
        if last is not None and now_ms is not None:
            found = self._crossing(last, now_ms)
            if found is not None:
                yield found

    def _crossing(self, last: tuple[int, int], now_ms: int | None) -> Crossing | None:
        instant, known = last
        silent = instant + self.within
        if known < self.at_least or (now_ms is not None and silent > now_ms):
            return None
        return Crossing(silent, instant, known)

    def summary(self) -> str:
        """See `Kind.summary`."""
        known = f" within {duration_text(self.known_ms)}" if self.at_least > 1 else ""
        return f"no event for {duration_text(self.within)} after at least {self.at_least}{known}"
