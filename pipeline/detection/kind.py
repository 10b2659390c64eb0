"""What all kinds of detection share, and what the engine asks of one.

A kind is a frozen dataclass of pure functions. The engine reads a group's events as a timeline and asks for
crossings; everything else here lets it read no more than it must, and never less. Invariants:

- an arrival at `t` can make a crossing only at an instant of `[t, t + influence_ms]`;
- whether `t` is a crossing, and what it says, depends only on the group's events in `[t - evidence_ms, t]`,
  and of those before the first instant that is judged only on what `memory` keeps;
- `may_fire` is false only where no crossing is possible.

A kind that `follows_clock` can cross without an arrival, `delay_ms` after an event; one that `remembers` is
only asked about groups in which a value appears that is not known to have been there; one that `runs_code` runs a
function of its author's; one that `counts_events` is told how many events there are beside the values of its columns.
`counts` and `windows` name the fields that `siemlite test` mutates by one event and one millisecond.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

from pipeline.detection.conditions import Exists
from pipeline.detection.durations import minutes
from pipeline.detection.examples import Example
from pipeline.detection.timeline import Crossing, Severity, Timeline
from pipeline.detection.validation import duration, field_name, wrong
from pipeline.detection.where import All, Clause, Field, Where, compile_where
from pipeline.errors import ConfigurationError

_TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")


class Memory(Enum):
    """Which of a group's earlier events decide about an instant: all in reach, the last few, the last of each value."""

    ALL = "all"
    LAST = "last"
    LAST_OF_EACH = "last of each"


@dataclass(frozen=True, slots=True)
class Totals:
    """How many events of a group lie within reach: in all, and for each of the kind's streams.

    `probes` holds the counts in the time ranges that `Kind.probes` asked for, None where they do not apply. `values`
    is how many values `Kind.values_of` has in them, each event's counted for itself, None where that is one for each.
    """

    events: int
    streams: tuple[int, ...] = ()
    probes: tuple[int, ...] | None = None
    values: int | None = None


@dataclass(frozen=True, slots=True)
class ByCount:
    """A severity that rises with the count: that of the highest level reached."""

    levels: tuple[tuple[int, Severity], ...]

    def reached(self, count: int) -> tuple[int, Severity] | None:
        """Return the highest level not above `count`."""
        found = None
        for level in self.levels:
            if level[0] <= count:
                found = level
        return found

    def beginning_at(self, count: int) -> "ByCount":
        """Return the same severities where the first level is reached at `count`; those below it are left out."""
        return ByCount(((count, self.lowest), *(level for level in self.levels[1:] if level[0] > count)))

    @property
    def lowest(self) -> Severity:
        """Return the severity of the first level."""
        return self.levels[0][1]

    @property
    def top(self) -> int:
        """Return the count of the highest level."""
        return self.levels[-1][0]


def by_count(levels: Mapping[int, Severity]) -> ByCount:
    """Return the severity for counts, such as `{5: Severity.MEDIUM, 100: Severity.CRITICAL}`."""
    if not isinstance(levels, Mapping) or not levels:
        raise ConfigurationError("by_count(…) takes a mapping such as {5: Severity.MEDIUM, 100: Severity.CRITICAL}")
    for count, severity in levels.items():
        if isinstance(count, bool) or not isinstance(count, int) or not isinstance(severity, Severity):
            raise ConfigurationError(f"by_count: {count!r}: {severity!r} must be a whole number and a Severity")
    rising = sorted(levels.items())
    for (count, severity), (more, higher) in pairwise(rising):
        if higher.rank < severity.rank:
            raise ConfigurationError(
                f"by_count: {more}: {higher} is below {count}: {severity}; let it rise with the count"
            )
    return ByCount(tuple(rising))


@dataclass(frozen=True, kw_only=True)
class Kind(ABC):
    """The common part of all kinds.

    `where` selects the events, `group_by` the fields whose values are watched apart; an event that lacks one
    of them belongs to no group. `suppress_for` (milliseconds) is the silence after which a new crossing is a
    new episode. `inhibits` names detections that this one speaks for: while it has an alert for a group, theirs
    for the same group are recorded and not delivered. `fires` and `quiet` are examples that `siemlite test` runs.
    """

    severity: Severity | ByCount
    where: Where = field(default_factory=dict)
    group_by: str | tuple[str, ...] = ()
    suppress_for: int = minutes(60)
    attack: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    inhibits: tuple[str, ...] = ()
    fires: Sequence[Example] = ()
    quiet: Sequence[Example] = ()

    memory: ClassVar[Memory] = Memory.ALL
    follows_clock: ClassVar[bool] = False
    runs_code: ClassVar[bool] = False
    counts_events: ClassVar[bool] = False
    remembers: ClassVar[bool] = False
    counts: ClassVar[tuple[str, ...]] = ()
    windows: ClassVar[tuple[str, ...]] = ()
    further_windows: ClassVar[tuple[str, ...]] = ()
    levels_begin_at: ClassVar[str] = "at_least"
    """The limit at which the levels of a severity by count begin."""

    def __post_init__(self) -> None:
        if not isinstance(self.severity, Severity | ByCount):
            raise wrong("severity", self.severity, "use Severity.HIGH or by_count({…})")
        self._check_grouping()
        self._check_labels()
        duration("suppress_for", self.suppress_for, zero=True)
        self._check_examples()
        compile_where(self.where)

    def _check_grouping(self) -> None:
        if isinstance(self.group_by, list):
            object.__setattr__(self, "group_by", tuple(self.group_by))
        if not isinstance(self.group_by, str | tuple):  # a set has another order in each process
            raise wrong("group_by", self.group_by, "give a field's name, or a tuple of them")
        for name in self.group:
            field_name("group_by", name)
        if len(set(self.group)) != len(self.group):
            raise wrong("group_by", self.group_by, "name each field once")

    def _check_labels(self) -> None:
        if isinstance(self.attack, str):
            raise wrong("attack", self.attack, f"give a tuple such as ({self.attack!r},)")
        for name in ("attack", "tags", "inhibits"):
            if not isinstance(getattr(self, name), str | tuple | list):
                raise wrong(name, getattr(self, name), "give a tuple, () for none")
        for technique in self.attack:
            if not isinstance(technique, str) or _TECHNIQUE.fullmatch(technique) is None:
                raise wrong("attack", technique, "give ATT&CK technique ids such as T1110 or T1110.003")
        if isinstance(self.tags, str) or not all(isinstance(tag, str) for tag in self.tags):
            raise wrong("tags", self.tags, "give a tuple of texts")
        if isinstance(self.inhibits, str) or not all(isinstance(name, str) for name in self.inhibits):
            raise wrong("inhibits", self.inhibits, "give a tuple of detections' ids")

    def _check_examples(self) -> None:
        for name, examples in (("fires", self.fires), ("quiet", self.quiet)):
            if not isinstance(examples, list | tuple):
                raise wrong(name, type(examples).__name__, "give a list of examples such as [burst(5)]")
            for number, example in enumerate(examples):
                if not isinstance(example, Example):
                    raise wrong(f"{name}[{number}]", example, "make it with event({…}), burst(5), late(…) or until(…)")

    @cached_property
    def group(self) -> tuple[str, ...]:
        """Return the fields to group by."""
        return (self.group_by,) if isinstance(self.group_by, str) else tuple(self.group_by)

    @cached_property
    def clause(self) -> Clause:
        """Return which events the detection looks at: `where`, and the fields that it needs beyond the group's."""
        return self.selected()

    def selected(self) -> Clause:
        """Return what `clause` is."""
        needed = tuple(Field(name, Exists()) for name in self.required)
        given = compile_where(self.where)
        return All((given, *needed)) if needed else given

    @property
    def base_severity(self) -> Severity:
        """Return the severity of an alert whose crossings bring none of their own."""
        return self.severity.lowest if isinstance(self.severity, ByCount) else self.severity

    @property
    def required(self) -> tuple[str, ...]:
        """Return the fields, beyond the group's, without which an event is not looked at."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the fields whose values `crossings` needs to see in each row, in that order."""
        return ()

    @property
    def streams(self) -> tuple[Clause, ...]:
        """Return the clauses that tell the kind's events apart; each event is in the first that fits."""
        return ()

    @property
    @abstractmethod
    def evidence_ms(self) -> int:
        """Return how far back an instant's evidence reaches."""

    @property
    def influence_ms(self) -> int:
        """Return how far ahead an event can make a crossing."""
        return self.evidence_ms

    @property
    def at_its_time_of_day(self) -> bool:
        """Return whether an event counts or not by its time of day, so that an example of it is played at its own."""
        return False

    @property
    def delay_ms(self) -> int:
        """Return, for a kind that follows the clock, how long after an event it can cross by time alone."""
        return 0

    @property
    def earliest_ms(self) -> int:
        """Return how long after an event the first crossing is that it can make."""
        return 0

    @property
    def edges(self) -> tuple[int, ...]:
        """Return how long before an instant its windows begin, for a kind that only counts events in windows."""
        return ()

    @property
    def depth(self) -> int:
        """Return how many earlier events (or values) `memory` keeps where it keeps the last ones."""
        return 0

    def probes(self, first_ms: int, last_ms: int) -> tuple[tuple[int, int], ...]:  # noqa: ARG002
        """Return the time ranges whose counts let `may_fire` rule out crossings in `[first_ms, last_ms]`."""
        return ()

    @property
    def least_events(self) -> int:
        """Return how many events within reach a group with a crossing has at least."""
        return 1

    @property
    def values_of(self) -> str | None:
        """Return the field whose values are counted where that is not events: one event may hold several of them."""
        return None

    def may_fire(self, totals: Totals) -> bool:
        """Return whether a group with `totals` can have a crossing."""
        return (totals.events if totals.values is None else totals.values) >= self.least_events

    @abstractmethod
    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:
        """Yield the crossings of one group's `timeline`, in time order, at most one for each instant.

        `now_ms` bounds the kinds that follow the clock.
        """

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the fields that must hold numbers."""
        return ()

    def crossings_in(
        self,
        timeline: Timeline,
        spans: Sequence[tuple[int, int]],  # noqa: ARG002 - for kinds whose judgement is dear
        now_ms: int | None = None,
    ) -> Iterator[Crossing]:
        """Yield at least the crossings within `spans`: first and last instants, both included, in rising order.

        `timeline` and `now_ms` are as in `crossings`.
        """
        return self.crossings(timeline, now_ms)

    def after_closing(self, crossings: Sequence[Crossing], cut_ms: int) -> Sequence[Crossing] | None:
        """Return which `crossings` of a group are news after a person closed its alert at `cut_ms`.

        Nothing up to the closing counts again; None where a crossing after it rests on events before it, so that
        they must be found anew with those out of sight. What the clock brings is news though all events lie before.
        """
        if self.follows_clock:
            return [crossing for crossing in crossings if crossing.time_ms > cut_ms]
        if any(crossing.first_ms <= cut_ms < crossing.time_ms for crossing in crossings):
            return None
        return [crossing for crossing in crossings if crossing.first_ms > cut_ms]

    def narrowed(self, where: Where) -> "Kind":
        """Return the kind for events that fit `where`, with all others out of sight."""
        return replace(self, where=where)

    def renewed(self, anew: Sequence[Crossing], before: Sequence[Crossing]) -> Sequence[Crossing]:  # noqa: ARG002
        """Return what counts of the crossings found `anew`; `before` are those found with all events in sight."""
        return anew

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield changes of fields, beyond `counts`, `windows` and `where`, that examples must tell apart."""
        yield from ()

    @abstractmethod
    def summary(self) -> str:
        """Return the condition in a few words, such as `5 events within 15 minutes`."""


def levels_fit(kind: Kind) -> None:
    """Raise `ConfigurationError` where counts that fire have no severity."""
    limit = getattr(kind, kind.levels_begin_at)
    if isinstance(kind.severity, ByCount) and kind.severity.levels[0][0] != limit:
        raise wrong(
            "severity", kind.severity.levels, f"let the first level of by_count be {kind.levels_begin_at}, {limit}"
        )
