"""`Custom`: a function over a group's events of a window.

Semantics: an instant `t` at which the group has an event is a crossing where `judge` answers true for the
window of its events in `(t - within, t]`, of which there are at least `at_least`. An event counts as one, however
many values of `fields` it has. The function is pure: it reads no clock and keeps nothing, because it is asked again
whenever a late event arrives.
"""

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

from pipeline.detection.durations import duration_text
from pipeline.detection.kind import ByCount, Kind
from pipeline.detection.timeline import Crossing, JudgementError, Row, Scalar, Timeline, events_of
from pipeline.detection.validation import duration, field_name, flag, whole, wrong

_EVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Window:
    """What a `Custom` detection judges: the rows of a group's window, in time order, ending at `time_ms`."""

    time_ms: int
    rows: tuple[Row, ...]
    columns: tuple[str, ...]

    @property
    def count(self) -> int:
        """Return how many events there are."""
        return sum(events_of(list(rows)) for _, rows in groupby(self.rows, key=lambda row: row.time_ms))

    @property
    def latest(self) -> tuple[Row, ...]:
        """Return the rows of the last instant."""
        return tuple(row for row in self.rows if row.time_ms == self.time_ms)

    def value(self, row: Row, column: str) -> Scalar:
        """Return `row`'s value of `column`, None where its events lack the field."""
        return row.values[self.columns.index(column)]

    def values(self, column: str) -> tuple[Scalar, ...]:
        """Return the values of `column`, row by row."""
        place = self.columns.index(column)
        return tuple(row.values[place] for row in self.rows)


def _takes_one(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(object())
    except TypeError:
        return False
    except ValueError:  # one that tells no signature
        pass
    return True


@dataclass(frozen=True, kw_only=True)
class Custom(Kind):
    """Fires when `judge` says so of a group's events `within` so many milliseconds, or of one instant.

    `fields` are those whose values the function needs: an event with several values of one has a row for each, and a
    field of type `geo_point` comes as its finest tile, which `pipeline.detection.geo` turns into a latitude and a
    longitude. Say `time_of_day` where the function looks at the time of day: a drill then plays an example of the
    first day at the time, in UTC, that the example names.
    """

    judge: Callable[[Window], bool]
    fields: tuple[str, ...] = ()
    at_least: int = 1
    within: int = 1
    time_of_day: bool = False

    runs_code: ClassVar[bool] = True
    counts_events: ClassVar[bool] = True
    windows: ClassVar[tuple[str, ...]] = ("within",)

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("time_of_day", self.time_of_day)
        if isinstance(self.severity, ByCount):
            raise wrong("severity", self.severity, "a judgement is no count; use Severity.HIGH")
        if not callable(self.judge):
            raise wrong("judge", self.judge, "give a function that takes a Window and answers true or false")
        if inspect.iscoroutinefunction(self.judge):
            raise wrong("judge", self.judge, "make it a plain function: what an async one returns is always true")
        if inspect.isgeneratorfunction(self.judge):
            raise wrong("judge", self.judge, "let it return what it says: what one that yields returns is always true")
        if not _takes_one(self.judge):
            raise wrong("judge", self.judge, "let it take one argument, the Window")
        if isinstance(self.fields, str):
            raise wrong("fields", self.fields, f"give a tuple such as ({self.fields!r},)")
        if not isinstance(self.fields, tuple | list):
            raise wrong("fields", self.fields, "give a tuple of fields' names, () for none")
        for name in self.fields:
            field_name("fields", name)
        whole("at_least", self.at_least)
        duration("within", self.within)

    @property
    def columns(self) -> tuple[str, ...]:
        """See `Kind.columns`."""
        return tuple(self.fields)

    @property
    def at_its_time_of_day(self) -> bool:
        """See `Kind.at_its_time_of_day`."""
        return self.time_of_day

    @property
    def evidence_ms(self) -> int:
        """See `Kind.evidence_ms`."""
        return self.within - 1

    @property
    def least_events(self) -> int:
        """See `Kind.least_events`."""
        return self.at_least

    def crossings(self, timeline: Timeline, now_ms: int | None = None) -> Iterator[Crossing]:
        """See `Kind.crossings`. The count is that of the events in the window."""
        return self.crossings_in(timeline, ((-_EVER_MS, _EVER_MS),), now_ms)

    def crossings_in(
        self,
        timeline: Timeline,
        spans: Sequence[tuple[int, int]],
        now_ms: int | None = None,  # noqa: ARG002 - it does not follow the clock
    ) -> Iterator[Crossing]:
        """See `Kind.crossings_in`: outside of `spans` nothing is judged.

        Raises `JudgementError`, after all that could be judged, where the function failed at an instant: a value that
        it does not expect must not keep what comes before and after from being judged.
        """
        rows: deque[Row] = deque()
        counts: deque[tuple[int, int]] = deque()  # (instant, events)
        events = span = judged = failures = 0
        failure = ""
        for instant, here in groupby(timeline, key=lambda row: row.time_ms):
            own = list(here)
            rows.extend(own)
            counts.append((instant, events_of(own)))
            events += counts[-1][1]
            while instant - rows[0].time_ms >= self.within:
                rows.popleft()
            while instant - counts[0][0] >= self.within:
                events -= counts.popleft()[1]
            while span < len(spans) and spans[span][1] < instant:
                span += 1
            if span == len(spans):
                break
            if instant < spans[span][0] or events < self.at_least:
                continue
            judged += 1
            try:
                holds = self.judge(Window(instant, tuple(rows), self.columns))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an author's function does
                failures += 1
                failure = failure or f"{type(error).__name__}: {error}"
                continue
            if holds:
                yield Crossing(instant, rows[0].time_ms, events)
        if failures:
            text = f"its condition failed at {failures} of {judged} instants: {failure}"
            raise JudgementError(text, every=failures == judged)

    def mutations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """See `Kind.mutations`; with fewer events asked for, the function may well decide alike."""
        if self.at_least > 1:
            yield "at_least +1", {"at_least": self.at_least + 1}

    def summary(self) -> str:
        """See `Kind.summary`."""
        name = getattr(self.judge, "__name__", "a function").replace("_", " ")
        if self.at_least > 1:
            name = f"{name}, of at least {self.at_least} events"
        return name if self.within == 1 else f"{name} within {duration_text(self.within)}"
