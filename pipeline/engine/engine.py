"""The engine: what arrived, evaluated by every detection, in one bounded step.

Invariants: positions are read before the refresh, so that all up to them can be searched; a detection that
fails keeps its checkpoint and costs no other; findings are complete for what the checkpoint moves over, in
the real world and in every drill's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from elasticsearch import Elasticsearch

from pipeline.detection.detection import Detection
from pipeline.elastic.search import Searcher
from pipeline.engine import evidence
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.evaluation import Evaluated, evaluate, evaluate_history
from pipeline.engine.finding import Finding, Group
from pipeline.engine.indices import DAY_MS, Indices, look, refresh
from pipeline.engine.memory import Memory
from pipeline.engine.plan import Plan, plan
from pipeline.engine.protocol import VerifyMark
from pipeline.engine.result import Coverage, Evidence, PassResult, Sample, Wanted
from pipeline.engine.scope import Marks, Scope, drills_in, read_marks, world
from pipeline.engine.steps import PAGE_NEXT, Step, run
from pipeline.engine.view import View
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.events.mark import concerns


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one step may take: sequence numbers of the present and as many of the past; time for a search.

    Groups of up to `rows_together` events are read together; `page` buckets are asked for at a time at most.
    """

    step: int = 200_000
    search_ms: int = 20_000
    rows_together: int = 10_000
    page: int = PAGE_NEXT


@dataclass(slots=True)
class _Pass:
    """One pass: what there is, what each detection evaluates of it, and the marks that lie there."""

    indices: Indices
    plans: dict[str, Plan] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)


class Engine:
    """Evaluates detections on Elasticsearch; see `protocol.Evaluator` for what its methods promise.

    `verify_mark` says whether a drill's mark is signed by this installation; `late_horizon_ms` how late an
    event may arrive and still be evaluated. One engine serves one thread.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        verify_mark: VerifyMark,
        late_horizon_ms: int = DAY_MS,
        limits: Limits | None = None,
    ) -> None:
        self._client = client
        self._verify = verify_mark
        self._late_horizon_ms = late_horizon_ms
        self._limits = limits or Limits()
        self._searcher = Searcher(client, timeout_s=self._limits.search_ms / 1000)
        self._memory = Memory(client)
        self._alone: set[str] = set()
        self._indices: Indices | None = None

    def evaluate(
        self, detections: Sequence[Detection], since: Mapping[str, Checkpoint], now_ms: int
    ) -> Iterator[PassResult]:
        """See `protocol.Evaluator.evaluate`."""
        indices = self._indices = look(self._client)
        this = _Pass(indices)
        plans: list[tuple[Checkpoint, Plan]] = []
        for detection in detections:
            checkpoint = since.get(detection.id, Checkpoint())
            known = next((found for before, found in plans if before == checkpoint), None)
            if known is None:
                known = plan(checkpoint, indices, now_ms, self._late_horizon_ms, self._limits.step)
                plans.append((checkpoint, known))
            this.plans[detection.id] = known
        refresh(self._client, sorted({portion.index.name for p in this.plans.values() for portion in p.portions}))
        this.marks = self._marks(detections, this)
        for alone in (False, True):
            lane = [detection for detection in detections if (detection.id in self._alone) is alone]
            for batch in [lane] if not alone else [[detection] for detection in lane]:
                yield from self._lane(batch, since, this, now_ms)

    def _lane(
        self, detections: Sequence[Detection], since: Mapping[str, Checkpoint], this: _Pass, now_ms: int
    ) -> Iterator[PassResult]:
        """Evaluate detections that share their requests."""
        steps = [
            (detection, self._evaluation(detection, since.get(detection.id, Checkpoint()), this, now_ms))
            for detection in detections
        ]
        for detection, outcome in run(self._searcher, steps):
            before = since.get(detection.id, Checkpoint())
            if isinstance(outcome, SiemliteError):
                self._alone.add(detection.id)
                coverage = Coverage(behind=this.plans[detection.id].arrived + before.behind)
                yield PassResult(detection, before, complete=False, error=str(outcome), coverage=coverage)
            else:
                self._alone.discard(detection.id)
                yield self._result(detection, before, this, outcome, now_ms)

    def _evaluation(self, detection: Detection, since: Checkpoint, this: _Pass, now_ms: int) -> Step[list[Evaluated]]:
        """Evaluate one detection in the real world and in those of the drills whose events arrived."""
        own = this.plans[detection.id]
        arrived: dict[str, list[tuple[int, int]]] = {}
        for portion in own.portions:
            arrived.setdefault(portion.index.name, []).append(portion.range)
        results = []
        drills = (drill for drill in drills_in(this.marks, arrived) if concerns(drill, detection.id))
        for drill in (None, *drills):
            view = self._looking(detection, this.indices, world(this.marks, drill))
            results.append((yield from evaluate(view, own, since, now_ms)))
        return results

    @staticmethod
    def _result(
        detection: Detection, before: Checkpoint, this: _Pass, outcomes: Sequence[Evaluated], now_ms: int
    ) -> PassResult:
        own = this.plans[detection.id]
        complete = not this.indices.trouble
        caught_up = now_ms if complete and not own.behind else before.caught_up_ms
        checkpoint = Checkpoint(own.positions, now_ms if caught_up is None else caught_up, now_ms)
        return PassResult(
            detection,
            checkpoint,
            findings=tuple(finding for outcome in outcomes for finding in outcome.findings),
            complete=complete,
            more=own.behind > 0,
            error=None if complete else this.indices.trouble,
            coverage=Coverage(
                arrived=own.arrived,
                behind=own.behind,
                touched=sum(outcome.touched for outcome in outcomes),
                suspects=sum(outcome.suspects for outcome in outcomes),
                too_late=own.skipped + sum(outcome.too_late for outcome in outcomes),
                misfiled=sum(outcome.misfiled for outcome in outcomes),
                marked=len(this.marks.valid),
                forged=len(this.marks.forged),
            ),
            learned=tuple(one for outcome in outcomes for one in outcome.learned),
        )

    def _marks(self, detections: Sequence[Detection], this: _Pass) -> Marks:
        """Return the marks of all events that this pass can look at."""
        reach = max((d.kind.evidence_ms + d.kind.influence_ms for d in detections), default=0)
        changed = {portion.index for p in this.plans.values() for portion in p.portions}
        days = {index.day_ms for index in changed}
        if not changed:
            return Marks()
        if None in days:
            return self._marks_of(tuple(index.name for index in this.indices.all))
        names: set[str] = set()
        for day in days:
            if day is not None:
                names.update(this.indices.overlapping(day - reach, day + DAY_MS - 1 + reach))
        return self._marks_of(tuple(sorted(names)))

    def _marks_of(self, names: Sequence[str]) -> Marks:
        ((_, found),) = run(self._searcher, [(None, read_marks(names, self._verify))])
        if isinstance(found, SiemliteError):
            raise RetryableError(f"reading the marks of drills: {found}")
        return found

    def settle(self, result: PassResult) -> None:
        """See `protocol.Evaluator.settle`."""
        self._memory.remember(result.learned, result.checkpoint.clock_ms or 0)

    def over(
        self,
        detection: Detection,
        from_ms: int,
        to_ms: int,
        progress: Callable[[float], None] | None = None,
    ) -> PassResult:
        """See `protocol.Evaluator.over`."""
        if to_ms <= from_ms:
            raise ConfigurationError("the end of the time range is not after its beginning")
        indices = self._indices = look(self._client)
        days = [index.day_ms for index in indices.all if index.day_ms is not None]
        ranged = all(index.day_ms is not None for index in indices.all)
        refresh(self._client, indices.overlapping(from_ms - detection.kind.evidence_ms, to_ms - 1))
        width = max(DAY_MS, detection.kind.evidence_ms)
        first = max(from_ms, min(days, default=to_ms)) if ranged else from_ms
        last = min(to_ms, max(days, default=from_ms) + DAY_MS + width) if ranged else to_ms
        crossings: dict[tuple[Group, str | None], Finding] = {}
        touched = suspected = 0
        start = first
        while start < last:
            end = min(last, start + width - (start % DAY_MS))
            names = indices.overlapping(start - detection.kind.evidence_ms, end - 1)
            marks = self._marks_of(names)
            drills = {mark.drill for mark in marks.valid if concerns(mark.drill, detection.id)}
            for drill in (None, *sorted(drills)):
                view = self._looking(detection, indices, world(marks, drill))
                outcome = self._alone_now(evaluate_history(view, start, end))
                touched += outcome.touched
                suspected += outcome.suspects
                for finding in outcome.findings:
                    _append(crossings, finding)
            start = end
            if progress is not None:
                progress(min(1.0, (start - first) / max(1, last - first)))
        return PassResult(
            detection,
            Checkpoint(),
            findings=tuple(sorted(crossings.values(), key=lambda found: (found.crossings[0].time_ms, found.group))),
            complete=not indices.trouble,
            error=indices.trouble or None,
            coverage=Coverage(touched=touched, suspects=suspected),
        )

    def _alone_now(self, step: Step[Evaluated]) -> Evaluated:
        ((_, outcome),) = run(self._searcher, [(None, step)])
        if isinstance(outcome, SiemliteError):
            raise outcome
        return outcome

    def count(
        self, detection: Detection, group: Group, first_ms: int, last_ms: int, *, drill: str | None = None
    ) -> int:
        """See `protocol.Evaluator.count`."""
        return evidence.count(
            self._searcher, self._view(detection, first_ms, last_ms, drill), group, (first_ms, last_ms)
        )

    def samples(
        self,
        detection: Detection,
        group: Group,
        first_ms: int,
        last_ms: int,
        *,
        size: int = 5,
        drill: str | None = None,
    ) -> tuple[Sample, ...]:
        """See `protocol.Evaluator.samples`."""
        view = self._view(detection, first_ms, last_ms, drill)
        return evidence.samples(self._searcher, view, group, (first_ms, last_ms), size)

    def evidence(self, detection: Detection, wanted: Sequence[Wanted], *, size: int = 0) -> list[Evidence]:
        """See `protocol.Evaluator.evidence`."""
        if not wanted:
            return []
        indices = self._indices
        if indices is None:
            indices = self._indices = look(self._client)
        span = (min(one.first_ms for one in wanted), max(one.last_ms for one in wanted))
        marks = self._marks_of(indices.overlapping(*span))
        drills = {one.drill for one in wanted}
        views = {drill: self._looking(detection, indices, world(marks, drill)) for drill in drills}
        return evidence.several(self._searcher, [views[one.drill] for one in wanted], wanted, size)

    def _looking(self, detection: Detection, indices: Indices, scope: Scope) -> View:
        limits = self._limits
        return View(detection, indices, scope, limits.search_ms, limits.rows_together, limits.page)

    def _view(self, detection: Detection, first_ms: int, last_ms: int, drill: str | None) -> View:
        indices = self._indices
        if indices is None:
            indices = self._indices = look(self._client)
        marks = self._marks_of(indices.overlapping(first_ms, last_ms))
        return self._looking(detection, indices, world(marks, drill))


def _append(crossings: dict[tuple[Group, str | None], Finding], finding: Finding) -> None:
    key = (finding.group, finding.drill)
    known = crossings.get(key)
    if known is not None:
        finding = Finding(finding.detection_id, finding.group, known.crossings + finding.crossings, finding.drill)
    crossings[key] = finding
