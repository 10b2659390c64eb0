"""`Share`: the percentage of a group's events that fit a condition.

Semantics: an instant `t` at which the group has an event is a crossing where, of its events in
`(t - within, t]`, there are at least `at_least`, and at least `percent` percent of them, and `of_at_least` in number,
fit `of`. With `at` only an instant counts at which an event fits that; one that fits `of` is not looked at for it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from math import ceil
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.implied import takes_all_of
from pipeline.detection.kind import ByCount, Kind, Totals, levels_fit
from pipeline.detection.timeline import Crossing, Severity, Timeline
from pipeline.detection.validation import duration, whole, wrong
from pipeline.detection.where import EVERYTHING, Clause, Where, compile_where
from pipeline.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Share(Kind):
    """Fires when `percent` percent of a group's events, of at least `at_least`, fit `of`, at an event that fits `at`.

    `of_at_least` is how many must fit; where that is more than one it says enough, and `at_least` may be left out. A
    severity by count is by the number of those that fit.
    """

    of: Where
    percent: float
    at_least: int = 1
    of_at_least: int = 1
    at: Where | None = None
    within: int

    counts: ClassVar[tuple[str, ...]] = ("percent",)
    windows: ClassVar[tuple[str, ...]] = ("within",)
    levels_begin_at: ClassVar[str] = "of_at_least"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            compile_where(self.of)
        except ConfigurationError as error:
            raise ConfigurationError(f"of: {error}") from None
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float) or not 0 < self.percent <= 100:
            raise wrong("percent", self.percent, "give a number above 0 and at most 100")
        whole("at_least", self.at_least)
        whole("of_at_least", self.of_at_least)
        levels_fit(self)
        if self.at is not None:
            try:
                compile_where(self.at)
            except ConfigurationError as error:
                raise ConfigurationError(f"at: {error}") from None
            if takes_all_of(compile_where(self.of), compile_where(self.at)):
                raise ConfigurationError("at: an event that fits `of` is not looked at for `at`, and these all do")
        duration("within", self.within)

    @cached_property
    def streams(self) -> tuple[Clause, ...]:
        """See `Kind.streams`."""
        return (compile_where(self.of), *(() if self.at is None else (compile_where(self.at),)), EVERYTHING)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def edges(self) -> tuple[int, ...]:
        """See `Kind.edges`."""
        return (self.within,)

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return max(self.at_least, self.of_at_least)

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        fitting = max(self.of_at_least, ceil(self.at_least * self._percent / 100))
        asked = self.at is None or totals.streams[1] > 0
        return asked and totals.events >= self.at_least and totals.streams[0] >= fitting

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is that of the fitting events, the value their percentage."""
        window: deque[tuple[int, int, int]] = deque()  # (instant, events, fitting ones)
        events = fitting = 0
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            found = list(rows)
            here = [(row.count, row.count if row.stream == 0 else 0) for row in found]
            window.append((instant, sum(count for count, _ in here), sum(fits for _, fits in here)))
            events += window[-1][1]
            fitting += window[-1][2]
            while instant - window[0][0] >= self.within:
                _, gone, gone_fitting = window.popleft()
                events -= gone
                fitting -= gone_fitting
            if self.at is not None and all(row.stream != 1 for row in found):
                continue
            if events >= self.at_least and fitting >= self.of_at_least and fitting * 100 >= self._percent * events:
                yield Crossing(instant, window[0][0], fitting, self._severity_of(fitting), fitting * 100 / events)

    def _severity_of(self, fitting: int) -> Severity | None:
        level = self.severity.reached(fitting) if isinstance(self.severity, ByCount) else None
        return None if level is None else level[1]

    @cached_property
    def _percent(self) -> Fraction:
        """Return the number that the author wrote, which the nearest binary one may exceed."""
        return Fraction(str(self.percent))

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`."""
        for name in ("at_least", "of_at_least"):
            for step in (1, -1) if getattr(self, name) > 1 else ():
                value = getattr(self, name) + step
                changes: dict[str, Any] = {name: value}
                if name == "of_at_least" and isinstance(self.severity, ByCount):
                    changes["severity"] = self.severity.beginning_at(value)
                yield f"{name} {step:+d}", changes
        yield "of everything", {"of": EVERYTHING}
        if self.at is not None:
            yield "at any event", {"at": None}

    def summary(self) -> str:
        """See `Kind.summary`."""
        of = f"{self.percent:g} % of at least {self.at_least} events"
        if self.of_at_least > 1:
            events = "the" if self.at_least <= self.of_at_least else f"at least {self.at_least}"
            of = f"{self.percent:g} % of {events} events, and {self.of_at_least} of them,"
        return f"{of} within {duration_text(self.within)}"
