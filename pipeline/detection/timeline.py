"""What a detection's pure conditions see and say.

Invariants: a timeline's rows are in time order, ties in the order of their values, so that the same
events give the same answer whatever order they arrived in; instants are milliseconds since the epoch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import PermanentError

Scalar = str | int | float | bool | None


class Severity(StrEnum):
    """How much an alert matters. The order of rank is that of definition."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return 0 for the lowest severity, rising."""
        return tuple(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Row:
    """`count` events of one group at one instant that agree in all columns that the kind asked for.

    `stream` is the number of the first of the kind's streams that they fit. An event with several values of a column
    is in a row for each; `events` is then how many events the group has at the instant, in all of its rows.
    """

    time_ms: int
    count: int
    values: tuple[Scalar, ...] = ()
    stream: int = 0
    events: int | None = None


def events_of(rows: Sequence[Row]) -> int:
    """Return how many events `rows`, all those of one instant, stand for."""
    told = rows[0].events
    return sum(row.count for row in rows) if told is None else told


Timeline = Iterable[Row]
"""A group's rows in time order; they are read once, as they come."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """An event that completes a detection's condition.

    `time_ms` is that event's instant, `first_ms` that of the first event of the evidence it completes,
    `count` the measure reached (events, distinct values, …) and `severity` set where the count decides it.
    `value` is the measure of the kinds that measure something else than a count.
    """

    time_ms: int
    first_ms: int
    count: int
    severity: Severity | None = None
    value: float | None = None


class JudgementError(PermanentError):
    """A judgement failed at some instants, or at `every` one that was judged; the others were judged all the same."""

    def __init__(self, text: str, *, every: bool) -> None:
        super().__init__(text)
        self.every = every
