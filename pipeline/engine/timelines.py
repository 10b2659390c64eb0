"""From suspects to crossings: their timelines, judged by their detection's kind.

Small groups are read together and whole; a large one alone, and no further than its kind's memory says.
Invariants: every event that decides about an instant in `[first arrival, last arrival + influence]` is read;
crossings outside of it are not reported, because what decides about them may not have been.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic

from pipeline.detection.kind import Memory
from pipeline.detection.timeline import Crossing, JudgementError, Row, Timeline
from pipeline.engine.arrivals import merged
from pipeline.engine.counted import read_counted
from pipeline.engine.overseer import Overseer
from pipeline.engine.queries import GroupValues, one_of_groups
from pipeline.engine.reading import last_of_each, read_after, read_before, read_edges, read_rows
from pipeline.engine.steps import PAGE_NEXT, Step
from pipeline.engine.totals import Suspect, era_gap
from pipeline.engine.view import View
from pipeline.errors import PermanentError, RetryableError, SiemliteError

_overseer = Overseer()


class SlowConditionError(RetryableError):
    """A function takes too long for all groups together: it is to be evaluated where nobody waits for it."""


GROUPS_PER_READ = 500
_CLAUSES_PER_READ = 900
"""Elasticsearch takes at least 1,024 clauses in a query; a group has one for each field."""


@dataclass(slots=True)
class Judge:
    """Reads suspects' timelines and collects what the view's kind finds in them.

    A group whose judgement fails costs no other: `failures` counts them, `failure` says why the first did, and
    `judged` counts those that were judged, in part at least.

    `influence_ms` is how far beyond an arrival crossings are judged; `now_ms` bounds the kinds that follow the
    clock; `code_s` is how long functions took so far. Raises `SlowConditionError` where that is more than the view
    gives them.
    """

    view: View
    now_ms: int
    influence_ms: int
    found: dict[GroupValues, dict[int, Crossing]] = field(default_factory=dict)
    judged: int = 0
    failures: int = 0
    failure: str = ""
    code_s: float = 0.0

    def judge(self, suspects: Sequence[Suspect]) -> Step[None]:
        """Collect the crossings that the suspects' arrivals can have made."""
        for batch in self._batches([suspect for suspect in suspects if suspect.events <= self.view.rows_together]):
            yield from self._small(batch)
        for suspect in suspects:
            if suspect.events > self.view.rows_together:
                yield from self._large(suspect)

    def _batches(self, suspects: Sequence[Suspect]) -> Iterator[list[Suspect]]:
        """Yield suspects that are read together: near one another in time, and not too many events."""
        gap = era_gap(self.view)
        groups = min(GROUPS_PER_READ, _CLAUSES_PER_READ // max(1, len(self.view.group_by)))
        batch: list[Suspect] = []
        events = last_ms = 0
        for suspect in sorted(suspects, key=lambda suspect: suspect.first_ms):
            full = events + suspect.events > self.view.rows_together or len(batch) >= groups
            if batch and (full or suspect.first_ms - last_ms > gap):
                yield batch
                batch, events = [], 0
            last_ms = max(last_ms, suspect.last_ms) if batch else suspect.last_ms
            batch.append(suspect)
            events += suspect.events
        if batch:
            yield batch

    def _small(self, batch: Sequence[Suspect]) -> Step[None]:
        view, kind = self.view, self.view.kind
        window = (
            min(suspect.first_ms for suspect in batch) - kind.evidence_ms,
            max(suspect.last_ms for suspect in batch) + self.influence_ms,
        )
        groups = one_of_groups(view.group_by, [suspect.group for suspect in batch])
        events = sum(suspect.events for suspect in batch)
        size = min(PAGE_NEXT, max(100, events + 1))
        before: Mapping[GroupValues, Sequence[Row]] = {}
        if kind.memory is Memory.LAST_OF_EACH:
            start = min(suspect.first_ms for suspect in batch)
            before = yield from last_of_each(view, (window[0], start - 1), groups, view.group_by)
            window = (start, window[1])
        rows = yield from read_counted(view, window, groups, view.group_by, size=size)
        for suspect in batch:
            group = suspect.group
            self._collect(group, chain(before.get(group, ()), rows.get(group, ())), suspect.spans)

    def _large(self, suspect: Suspect) -> Step[None]:
        view, kind = self.view, self.view.kind
        group = one_of_groups(view.group_by, [suspect.group])
        if kind.edges:
            for first, last in suspect.spans:
                until = min(self.now_ms, last + self.influence_ms) if kind.follows_clock else None
                span = (first + kind.earliest_ms, last)
                timeline = yield from read_edges(view, group, span, until, self.influence_ms)
                self._collect(suspect.group, timeline, ((first, last),))
            return
        if kind.memory is Memory.ALL:
            window = (suspect.first_ms - kind.evidence_ms, suspect.last_ms + self.influence_ms)
            rows = yield from read_counted(view, window, group, (), size=PAGE_NEXT)
            self._collect(suspect.group, rows.get((), ()), suspect.spans)
            return
        for first, last in suspect.spans:
            before = yield from read_before(view, group, first, suspect.events)
            within = yield from read_rows(view, (first, last), group, (), size=PAGE_NEXT)
            after = yield from read_after(view, group, last, self.influence_ms)
            self._collect(suspect.group, chain(before, within.get((), ()), after), ((first, last),))

    def _collect(self, group: GroupValues, timeline: Timeline, spans: Sequence[tuple[int, int]]) -> None:
        earliest = self.view.kind.earliest_ms
        judged = merged([(first + earliest, last + self.influence_ms) for first, last in spans], 0)
        own = self.found.get(group, {})
        began = monotonic()

        def collect() -> None:
            span = 0
            for crossing in self._crossings(timeline, judged):
                while span < len(judged) and judged[span][1] < crossing.time_ms:
                    span += 1
                if span == len(judged):
                    break
                if judged[span][0] <= crossing.time_ms:
                    own[crossing.time_ms] = crossing

        try:
            if self.view.kind.runs_code:
                _overseer.limited(collect)
            else:
                collect()
            self.judged += 1
        except PermanentError as error:
            self.failures += 1
            self.failure = self.failure or str(error)
            self.judged += isinstance(error, JudgementError) and not error.every
        if own:
            self.found[group] = own
        self.code_s += monotonic() - began
        if self.view.kind.runs_code and self.view.code_s is not None and self.code_s > self.view.code_s:
            raise SlowConditionError(f"its condition takes longer than {self.view.code_s:g} s for all groups together")

    def _crossings(self, timeline: Timeline, judged: Sequence[tuple[int, int]]) -> Iterator[Crossing]:
        try:
            yield from self.view.kind.crossings_in(timeline, judged, self.now_ms)
        except SiemliteError:
            raise
        except (Exception, SystemExit) as error:
            raise PermanentError(f"its condition failed: {type(error).__name__}: {error}") from error
