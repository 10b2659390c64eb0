"""`Spike`: many more events than in the time before.

Semantics: an instant `t` at which the group has an event is a crossing where the window `(t - within, t]`
holds at least `at_least` events, and at least `ratio` times as many for its length as the baseline, the
`compared_with` milliseconds before the window. A baseline without events has no ratio: then `at_least` alone
decides, unless `known_only`, with which a group without a baseline is left out.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind, Totals
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import WINDOW_MAX_MS, duration, flag, whole, wrong
from pipeline.detection.where import Where


@dataclass(frozen=True, kw_only=True)
class Spike(Kind):
    """Fires when a group has `ratio` times as many events, and at least `at_least`, as in the time before."""

    at_least: int
    ratio: float
    within: int
    compared_with: int = 0
    known_only: bool = False

    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    further_windows: ClassVar[tuple[str, ...]] = ("compared_with",)

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("known_only", self.known_only)
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a ratio is no count; use Severity.HIGH")
        whole("at_least", self.at_least)
        if isinstance(self.ratio, bool) or not isinstance(self.ratio, int | float) or not 1 < self.ratio < inf:
            raise wrong("ratio", self.ratio, "give a number above 1")
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
        return self.within + self.baseline_ms - 1

    @property
    def influence_ms(self) -> int:
        """See `Kind.influence_ms`; in the baseline an event can only prevent a crossing, but the first of a group."""
        return self.evidence_ms if self.known_only else self.within - 1

    @property
    def edges(self) -> tuple[int, ...]:
        """See `Kind.edges`."""
        return (self.within, self.within + self.baseline_ms)

    def probes(self, first_ms: int, last_ms: int) -> tuple[tuple[int, int], ...]:
        """See `Kind.probes`: what any of the windows can hold, and what all baselines hold."""
        return (
            (first_ms - self.within + 1, last_ms),
            (last_ms - self.within - self.baseline_ms + 1, first_ms - self.within),
        )

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        if totals.probes is None:
            return totals.events >= self.at_least
        most, least_before = totals.probes
        return most >= self.at_least and most * self.baseline_ms >= self.ratio * least_before * self.within

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The value is how many events the baseline let expect."""
        window: deque[tuple[int, int]] = deque()
        baseline: deque[tuple[int, int]] = deque()
        now = before = 0
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            window.append((instant, sum(row.count for row in rows)))
            now += window[-1][1]
            while instant - window[0][0] >= self.within:
                baseline.append(window.popleft())
                now -= baseline[-1][1]
                before += baseline[-1][1]
            while baseline and instant - baseline[0][0] >= self.within + self.baseline_ms:
                before -= baseline.popleft()[1]
            if now < self.at_least or (before == 0 and self.known_only):
                continue
            if now * self.baseline_ms >= self.ratio * before * self.within:
                yield Crossing(instant, window[0][0], now, value=before * self.within / self.baseline_ms)

    def narrowed(self, where: Where) -> "Spike":
        """See `Kind.narrowed`; `renewed` sees to the baseline."""
        return replace(self, where=where, known_only=False)

    def renewed(self, anew: Sequence[Crossing], before: Sequence[Crossing]) -> Sequence[Crossing]:
        """See `Kind.renewed`: the window holds what came after the closing, the baseline all that there was."""
        expected = {crossing.time_ms: crossing.value for crossing in before}
        return [
            replace(crossing, value=value)
            for crossing in anew
            if (value := expected.get(crossing.time_ms)) is not None and crossing.count >= self.ratio * value
        ]

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        yield "ratio doubled", {"ratio": self.ratio * 2}
        yield "ratio halved", {"ratio": self.ratio / 2}
        yield "known_only inverted", {"known_only": not self.known_only}

    def summary(self) -> str:
        """See `Kind.summary`."""
        return (
            f"{self.at_least} events within {duration_text(self.within)} and {self.ratio:g} times "
            f"those of the {duration_text(self.baseline_ms)} before"
        )
