"""`Sequence`: stages that follow one another for one group.

Semantics: an instant `t` at which the group has an event of the last stage is a crossing where the last
`at_least` events of that stage up to `t`, before the first of them the last `at_least` of the stage before,
and so on, all lie within the window (last − first < `within`). Of events at the same instant those of earlier
stages come first. An event that fits several stages belongs to the first of them; a stage all of whose events an
earlier one takes could never be reached, and is refused.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.implied import takes_all_of
from pipeline.detection.kind import ByCount, Kind, Totals
from pipeline.detection.mutations import weakened
from pipeline.detection.timeline import Crossing, Timeline
from pipeline.detection.validation import duration, whole, wrong
from pipeline.detection.where import AnyOf, Clause, Where, all_of, compile_where
from pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Stage:
    """`at_least` events that fit `where`."""

    where: Where
    at_least: int = 1


def stage(where: Where, at_least: int = 1) -> Stage:
    """Return a stage of a `Sequence`; raises `ConfigurationError` for a wrong one."""
    whole("stage(…, at_least)", at_least)
    compile_where(where)
    return Stage(where, at_least)


@dataclass(frozen=True, kw_only=True)
class Sequence(Kind):
    """Fires when a group goes through `stages` in their order `within` so many milliseconds."""

    stages: tuple[Stage, ...]
    within: int

    windows: ClassVar[tuple[str, ...]] = ("within",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a sequence counts nothing; use Severity.HIGH")
        if isinstance(self.stages, list):
            object.__setattr__(self, "stages", tuple(self.stages))
        if not isinstance(self.stages, tuple) or len(self.stages) < 2:
            raise wrong("stages", self.stages, "give two or more, such as [stage({…}, 5), stage({…})]")
        for number, one in enumerate(self.stages):
            if not isinstance(one, Stage):
                raise wrong(f"stages[{number}]", one, "make it with stage({…}, at_least)")
            try:
                whole("at_least", one.at_least)
                compile_where(one.where)
            except ConfigurationError as error:
                raise ConfigurationError(f"stages[{number}]: {error}") from None
        duration("within", self.within)
        self._refuse_unreachable()

    def _refuse_unreachable(self) -> None:
        for number, later in enumerate(self.streams):
            for before, earlier in enumerate(self.streams[:number]):
                if takes_all_of(earlier, later):
                    raise ConfigurationError(
                        f"stages[{number}] can never be reached: an event belongs to the first stage that it fits, and "
                        f"stages[{before}] takes all of these; narrow that, for example with not_(…), or use Custom"
                    )

    def selected(self) -> Clause:
        """See `Kind.selected`."""
        return all_of(super().selected(), AnyOf(self.streams))

    @cached_property
    def streams(self) -> tuple[Clause, ...]:
        """See `Kind.streams`."""
        return tuple(compile_where(stage.where) for stage in self.stages)

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return sum(stage.at_least for stage in self.stages)

    def may_fire(self, totals: Totals) -> bool:
        """See `Kind.may_fire`."""
        return all(count >= stage.at_least for count, stage in zip(totals.streams, self.stages, strict=True))

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:  # noqa: ARG002
        """See `Kind.crossings`. The count is that of the events the stages need, the first event the first stage's."""
        needed = sum(stage.at_least for stage in self.stages)
        last = len(self.stages) - 1
        seen: tuple[deque[tuple[int, int]], ...] = tuple(deque() for _ in self.stages)
        for instant, rows in groupby(timeline, key=lambda row: row.time_ms):
            completes = False
            for row in rows:
                seen[row.stream].append((instant, row.count))
                completes = completes or row.stream == last
            for events in seen:
                while events and instant - events[0][0] >= self.within:
                    events.popleft()
            if completes and self._leads(seen, instant):
                yield Crossing(instant, seen[0][0][0], needed)

    def _leads(self, seen: tuple[deque[tuple[int, int]], ...], instant: int) -> bool:
        """Return whether there is a way through the stages that ends at `instant`."""
        end = instant
        for events, stage in zip(reversed(seen), reversed(self.stages), strict=True):
            left = stage.at_least
            for time_ms, count in reversed(events):
                if time_ms > end:
                    continue
                left -= count
                if left <= 0:
                    end = time_ms
                    break
            if left > 0:
                return False
        return True

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`: a stage by an event or a condition, and the last two in the other order."""
        for number, one in enumerate(self.stages):
            changed = [(f"at_least {step:+d}", Stage(one.where, one.at_least + step)) for step in (1, -1)]
            changed += [(f"without {label}", Stage(where, one.at_least)) for label, where in weakened(one.where)]
            for label, other in changed:
                yield (
                    f"stages[{number}] {label}",
                    {"stages": (*self.stages[:number], other, *self.stages[number + 1 :])},
                )
        yield "the last two stages exchanged", {"stages": (*self.stages[:-2], self.stages[-1], self.stages[-2])}

    def summary(self) -> str:
        """See `Kind.summary`."""
        first, *others = (stage.at_least for stage in self.stages)
        words = ", ".join([f"{first} {'event' if first == 1 else 'events'}", *(f"then {count}" for count in others)])
        return f"{words} within {duration_text(self.within)}"
