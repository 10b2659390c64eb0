"""One pass over many detections: those that go together, those apart because they fail, those beside because slow.

Invariants: positions are read before the refresh, so that all up to them can be searched; a detection that
fails, in whatever way, keeps its checkpoint and costs no other; findings are complete for what the checkpoint moves
over, in the real world and in every drill's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.detection.detection import Detection
from pipeline.engine.arrivals import Touched
from pipeline.engine.beside import Beside
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.common import families
from pipeline.engine.evaluation import Evaluated, evaluate
from pipeline.engine.indices import DAY_MS, Index, Indices, refresh
from pipeline.engine.mappings import fields_of
from pipeline.engine.plan import Plan, plan
from pipeline.engine.result import Coverage, PassResult
from pipeline.engine.scope import Marks, drills_in, world
from pipeline.engine.sight import Sight
from pipeline.engine.steps import Step, run, unforeseen
from pipeline.engine.ticking import tick
from pipeline.engine.timelines import SlowConditionError
from pipeline.errors import PermanentError, RetryableError, SiemliteError
from pipeline.events.mark import concerns


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass looks at: the indices, each detection's part of what arrived, the marks that lie there."""

    indices: Indices
    since: Mapping[str, Checkpoint]
    plans: Mapping[str, Plan]
    marks: Marks
    now_ms: int

    def before(self, detection: Detection) -> Checkpoint:
        """Return the checkpoint that the pass starts from."""
        return self.since.get(detection.id, Checkpoint())


@dataclass(slots=True)
class Lanes:
    """Which detections do not share their requests with the others: `apart` failed, `slow` run beside the passes."""

    apart: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    beside: "Beside[Checkpoint, tuple[PassResult, int]]" = field(default_factory=Beside)


def begin(
    sight: Sight,
    indices: Indices,
    detections: Sequence[Detection],
    since: Mapping[str, Checkpoint],
    now_ms: int,
) -> Pass:
    """Plan a pass, make what arrived searchable, and read the marks."""
    plans: dict[str, Plan] = {}
    known: list[tuple[Checkpoint, Plan]] = []
    for detection in detections:
        before = since.get(detection.id, Checkpoint())
        own = next((planned for checkpoint, planned in known if checkpoint == before), None)
        if own is None:
            own = plan(before, indices, now_ms, sight.late_horizon_ms, sight.limits.step)
            known.append((before, own))
        plans[detection.id] = own
    changed = {index for own in plans.values() for index in own.changed}
    refreshed = sorted(index.name for index in changed)
    refresh(sight.client, refreshed)
    marks = sight.marks(indices, _within_reach(detections, indices, changed), refreshed)
    return Pass(indices, since, plans, marks, now_ms)


def evaluate_pass(sight: Sight, lanes: Lanes, this: Pass, detections: Sequence[Detection]) -> Iterator[PassResult]:
    """Yield the results of a pass, those of detections in lanes of their own last."""
    together = [one for one in detections if one.id not in lanes.apart and one.id not in lanes.slow]
    apart = [one for one in detections if one.id in lanes.apart and one.id not in lanes.slow]
    slow = [one for one in detections if one.id in lanes.slow]
    for lane in (together, *([one] for one in apart)):
        yield from _evaluate_lane(sight, lanes, this, lane, slow_max=len(detections) // 10 + 1)
    for detection in slow:
        result = _beside(sight, lanes, this, detection)
        if result is not None:
            yield result


def _evaluate_lane(
    sight: Sight, lanes: Lanes, this: Pass, detections: Sequence[Detection], slow_max: int
) -> Iterator[PassResult]:
    """Evaluate detections that share their requests; notice those that should not."""
    named = {detection.id: detection for detection in detections}
    common = _common(sight, this, detections)
    code_s = sight.limits.code_s
    steps = [(one.id, _evaluation(sight, this, one, common.get(one.id), code_s)) for one in detections]
    spent_ms: dict[str, int] = {}
    for name, outcome in run(sight.searcher, steps, spent_ms):
        if isinstance(outcome, SlowConditionError):
            lanes.slow.add(name)
            _beside(sight, lanes, this, named[name])
            continue
        if isinstance(outcome, PermanentError):
            lanes.apart.add(name)
        else:
            lanes.apart.discard(name)
        too_slow = isinstance(outcome, RetryableError) or spent_ms.get(name, 0) > sight.limits.slow_ms
        if too_slow and len(lanes.slow) < slow_max:
            lanes.slow.add(name)
        yield _result(named[name], this, outcome)


def _beside(sight: Sight, lanes: Lanes, this: Pass, detection: Detection) -> PassResult | None:
    """Return the result of a slow detection if it has ended; have it evaluated beside the passes if not."""

    def work() -> tuple[PassResult, int]:
        spent_ms: dict[None, int] = {}
        outcome: list[Evaluated] | SiemliteError
        try:
            outcome = sight.run(_evaluation(sight, this, detection), spent_ms)
        except SiemliteError as error:
            return _result(detection, this, error), sight.limits.slow_ms + 1
        return _result(detection, this, outcome), spent_ms.get(None, 0)

    before = this.before(detection)
    done = lanes.beside.done(detection.id, before)
    if done is None:
        lanes.beside.give(detection.id, before, work)
        return None
    result, spent = done
    if spent <= sight.limits.slow_ms:
        lanes.slow.discard(detection.id)
    return result


def _common(sight: Sight, this: Pass, detections: Sequence[Detection]) -> Mapping[str, Touched]:
    """Return the arrivals in the real world of those detections that ask for them in common."""
    real = world(this.marks, None)
    found: dict[str, Touched] = {}
    try:
        views = [(sight.view(one, this.indices, real), this.plans[one.id]) for one in detections]
        common = list(families(views))
    except Exception:  # noqa: BLE001 - the evaluation of the detection that it comes from tells it
        return found
    for _, outcome in run(sight.searcher, [(family, family.arrivals()) for family in common]):
        if not isinstance(outcome, SiemliteError):  # else each asks for its own, and tells its own error
            found.update(outcome)
    return found


def _evaluation(
    sight: Sight,
    this: Pass,
    detection: Detection,
    touched: Touched | None = None,
    code_s: float | None = None,
) -> Step[list[Evaluated]]:
    """Evaluate one detection in the real world and in those of the drills whose events arrived.

    `touched` is what arrived in the real world, where that is known already; see `View` for `code_s`.
    """
    own = this.plans[detection.id]
    arrived: dict[str, list[tuple[int, int]]] = {}
    for portion in own.portions:
        arrived.setdefault(portion.index.name, []).append(portion.range)
    results = []
    drills = (drill for drill in drills_in(this.marks, arrived) if concerns(drill, detection.id))
    for drill in (None, *drills):
        view = sight.view(detection, this.indices, world(this.marks, drill), code_s)
        known = touched if drill is None else None
        results.append(
            (yield from evaluate(view, own, tick(this.before(detection), this.now_ms, detection.kind.delay_ms), known))
        )
    return results


def _result(detection: Detection, this: Pass, outcomes: Sequence[Evaluated] | SiemliteError) -> PassResult:
    if isinstance(outcomes, SiemliteError):
        return _failed(detection, this, outcomes)
    try:
        return _evaluated(detection, this, outcomes)
    except Exception as error:  # noqa: BLE001 - a defect in one must not end the pass
        return _failed(detection, this, unforeseen(error))


def _failed(detection: Detection, this: Pass, error: SiemliteError) -> PassResult:
    own = this.plans[detection.id]
    coverage = Coverage(behind=own.arrived + own.behind)
    return PassResult(detection, this.before(detection), complete=False, error=str(error), coverage=coverage)


def _evaluated(detection: Detection, this: Pass, outcomes: Sequence[Evaluated]) -> PassResult:
    own, before = this.plans[detection.id], this.before(detection)
    trouble = this.indices.trouble(
        own.floor_ms - detection.kind.evidence_ms, this.now_ms + DAY_MS, fields_of(detection.kind)
    )
    if trouble and detection.kind.follows_clock:  # what is missing may be what was not silent
        return _failed(detection, this, RetryableError(trouble))
    complete = not trouble
    caught_up = this.now_ms if (complete and not own.behind) or before.caught_up_ms is None else before.caught_up_ms
    ticked = tick(before, this.now_ms, detection.kind.delay_ms)
    return PassResult(
        detection,
        Checkpoint(own.positions, caught_up, ticked.upto_ms, ticked.hold_ms, detection.kind.delay_ms),
        findings=tuple(finding for outcome in outcomes for finding in outcome.findings),
        complete=complete,
        more=own.behind > 0,
        error=trouble or next((one.trouble for one in outcomes if one.trouble), None),
        coverage=Coverage(
            arrived=own.arrived,
            behind=own.behind,
            touched=sum(outcome.touched for outcome in outcomes),
            suspects=sum(outcome.suspects for outcome in outcomes),
            too_late=own.skipped + sum(outcome.too_late for outcome in outcomes),
            misfiled=sum(outcome.misfiled for outcome in outcomes),
            ungrouped=sum(outcome.ungrouped for outcome in outcomes),
            unjudged=sum(outcome.unjudged for outcome in outcomes),
            oldest_ms=min((one.oldest_ms for one in outcomes if one.oldest_ms is not None), default=None),
            newest_ms=max((one.newest_ms for one in outcomes if one.newest_ms is not None), default=None),
        ),
        learned=tuple(one for outcome in outcomes for one in outcome.learned),
    )


def _within_reach(detections: Sequence[Detection], indices: Indices, changed: set[Index]) -> tuple[str, ...]:
    """Return the indices that evaluating the arrivals in `changed` can look at."""
    reach = max((_reach(one) for one in detections), default=0)
    names: set[str] = set()
    for index in changed:
        if index.day_ms is None:
            return tuple(one.name for one in indices.all)
        names.update(indices.overlapping(index.day_ms - reach, index.day_ms + DAY_MS - 1 + reach))
    return tuple(sorted(names))


def _reach(detection: Detection) -> int:
    try:
        return detection.kind.evidence_ms + detection.kind.influence_ms
    except Exception:  # noqa: BLE001 - its evaluation fails with the same, and costs no other
        return 0
