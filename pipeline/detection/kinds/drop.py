"""`Drop`: many fewer events than in the time before.

Semantics: let the window at `T` be `(T - within, T]`, and the baseline the `compared_with` milliseconds before
it. The condition holds at `T` where the baseline has at least `at_least` events and the window at most `ratio`
times as many for its length. A crossing is an instant `T` at which the condition begins to hold; that is always
`within` after an event. A baseline without events drops to nothing: it never fires. The kind follows the clock.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Totals
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import WINDOW_MAX_MS, duration, whole, wrong


@dataclass(frozen=True, kw_only=True)
class Drop(Kind):
    """Fires when a group's events fall to `ratio` of those of the time before, which had at least `at_least`."""

    at_least: int
    ratio: float
    within: int
    compared_with: int = 0

    follows_clock: ClassVar[bool] = True
    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    further_windows: ClassVar[tuple[str, ...]] = ("compared_with",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a ratio is no count; use Severity.HIGH")
        whole("at_least", self.at_least)
        if isinstance(self.ratio, bool) or not isinstance(self.ratio, int | float) or not 0 <= self.ratio < 1:
            raise wrong("ratio", self.ratio, "give a number from 0 to below 1")
        duration("within", self.within)
        duration("compared_with", self.compared_with, zero=True)
        if self.within + self.baseline_ms > WINDOW_MAX_MS:
            raise wrong("compared_with", self.compared_with, "keep window and baseline within 366 days")

    @property
    def baseline_ms(self) -> int:
        """Return the length of the baseline, which is that of the window where none is given."""
        return self.compared_with or self.within

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within + self.baseline_ms

    @property
    def delay_ms(self) -> int:
        """See `Kind.delay_ms`."""
        return self.within

    @property
    def edges(self) -> tuple[int, ...]:
        """See `Kind.edges`; a crossing compares its instant with the millisecond before."""
        return (self.within, self.within + self.baseline_ms)

    def probes(self, first_ms: int, last_ms: int) -> tuple[tuple[int, int], ...]:
        """See `Kind.probes`: what all of the windows hold, and what any baseline can hold."""
        return (
            (last_ms - self.within + 1, first_ms),
            (first_ms - self.within - self.baseline_ms + 1, last_ms - self.within),
        )

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        if totals.probes is None:
            return totals.events >= self.at_least
        least, most_before = totals.probes
        return most_before >= self.at_least and least * self.baseline_ms <= self.ratio * most_before * self.within

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:
        """See `Kind.crossings`. The value is how many events the baseline let expect."""
        times: list[int] = []
        sums: list[int] = [0]
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            times.append(instant)
            sums.append(sums[-1] + sum(row.count for row in rows))

        def upto(instant: int) -> int:
            return sums[bisect_right(times, instant)]

        def measured(instant: int) -> tuple[int, int]:
            start = upto(instant - self.within)
            return upto(instant) - start, start - upto(instant - self.within - self.baseline_ms)

        def holds(now: int, before: int) -> bool:
            return before >= self.at_least and now * self.baseline_ms <= self.ratio * before * self.within

        for event in times:
            instant = event + self.within
            if now_ms is not None and instant > now_ms:
                return
            now, before = measured(instant)
            if holds(now, before) and not holds(*measured(instant - 1)):
                yield Crossing(instant, event, now, value=before * self.within / self.baseline_ms)

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        yield "ratio doubled", {"ratio": self.ratio * 2}
        yield "ratio halved", {"ratio": self.ratio / 2}

    def summary(self) -> str:
        """See `Kind.summary`."""
        return (
            f"at most {self.ratio:g} times the events of the {duration_text(self.baseline_ms)} before, which had "
            f"{self.at_least}, within {duration_text(self.within)}"
        )
