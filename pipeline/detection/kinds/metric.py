"""`Metric`: a measure of a numeric field over a window.

Semantics: an instant `t` at which the group has an event with the field is a crossing where the measure of the
field's values in `(t - within, t]`, of at least `at_least` events, is `above` or `below` the limit. An event with
several values has each of them measured, once, and counts as one event. All measures are exact: a sum is rounded once,
and a percentile is the smallest value that at least so many percent of the values do not exceed (nearest rank), so its
tolerance is none.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from math import ceil, isfinite
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind
from pipeline.detection.timeline import Crossing, Timeline, events_of
from pipeline.detection.validation import duration, field_name, whole, wrong

MEASURES = ("sum", "average", "minimum", "maximum", "percentile")


@dataclass(frozen=True, kw_only=True)
class Metric(Kind):
    """Fires when the `measure` of `field` is `above` or `below` a limit `within` so many milliseconds.

    `measure` is `sum`, `average`, `minimum`, `maximum` or `percentile` (with `percent`).
    """

    field: str
    measure: str
    above: float | None = None
    below: float | None = None
    percent: float = 95.0
    at_least: int = 1
    within: int

    counts: ClassVar[tuple[str, ...]] = ("at_least",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    counts_events: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a measure is no count; use Severity.HIGH")
        field_name("field", self.field)
        if self.measure not in MEASURES:
            raise wrong("measure", self.measure, f"use one of {', '.join(MEASURES)}")
        if (self.above is None) == (self.below is None):
            raise wrong("above", self.above, "give either above or below")
        for name, limit in (("above", self.above), ("below", self.below)):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
                raise wrong(name, limit, "give a number")
            if limit is not None and not isfinite(limit):
                raise wrong(name, limit, "give a limit that a measure can pass")
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float) or not 0 < self.percent <= 100:
            raise wrong("percent", self.percent, "give a number above 0 and at most 100")
        whole("at_least", self.at_least)
        duration("within", self.within)

    @property
    def required(self) -> tuple[str, ...]:
        """See `Kind.required`."""
        return (self.field,)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Kind.columns`."""
        return (self.field,)

    @property
    def numbers(self) -> tuple[str, ...]:
        """See `Kind.numbers`."""
        return (self.field,)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is that of the events measured, the value the measure."""
        window: deque[tuple[int, int, float]] = deque()
        counts: deque[tuple[int, int]] = deque()  # (instant, events)
        values: list[float] = []
        events, measured_values, total = 0, 0, Fraction(0)
        for instant, here in groupby(timeline, key=lambda row: row.time_ms):
            rows = list(here)
            counts.append((instant, events_of(rows)))
            events += counts[-1][1]
            for row in rows:
                value = row.values[0]
                if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                    continue
                window.append((instant, row.count, value))
                measured_values += row.count
                total += Fraction(value) * row.count
                for _ in range(row.count if self.measure == "percentile" else 1):
                    insort(values, value)
            while window and instant - window[0][0] >= self.within:
                _, count, value = window.popleft()
                measured_values -= count
                total -= Fraction(value) * count
                start = bisect_left(values, value)
                del values[start : start + (count if self.measure == "percentile" else 1)]
            while instant - counts[0][0] >= self.within:
                events -= counts.popleft()[1]
            if not window or window[-1][0] != instant or events < self.at_least:
                continue
            measured = self._measured(values, measured_values, total)
            if (self.above is not None and measured > self.above) or (self.below is not None and measured < self.below):
                yield Crossing(instant, window[0][0], events, value=measured)

    def _measured(self, values: list[float], count: int, total: Fraction) -> float:
        if self.measure == "sum":
            return float(total)
        if self.measure == "average":
            return float(total / count)
        if self.measure == "minimum":
            return values[0]
        if self.measure == "maximum":
            return values[-1]
        return values[ceil(self._percent * len(values) / 100) - 1]

    @cached_property
    def _percent(self) -> Fraction:
        """Return the number that the author wrote, which the nearest binary one may exceed."""
        return Fraction(str(self.percent))

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        name = "above" if self.above is not None else "below"
        limit = self.above if self.above is not None else self.below or 0.0
        for step in (1, -1):
            yield f"{name} {step:+d}", {name: limit + step}
            if self.measure == "percentile":
                yield f"percent {step:+d}", {"percent": self.percent + step}

    def summary(self) -> str:
        """See `Kind.summary`."""
        name = f"{self.percent:g}th percentile" if self.measure == "percentile" else self.measure
        limit = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        of = f", of at least {self.at_least} events," if self.at_least > 1 else ""
        return f"{name} of {self.field} {limit}{of} within {duration_text(self.within)}"
