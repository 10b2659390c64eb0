"""Evaluating history: a day at a time, with evidence from before."""

from collections.abc import Callable

from pipeline.detection.detection import Detection
from pipeline.detection.kind import Kind
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.evaluation import evaluate_history
from pipeline.engine.finding import Finding, Group
from pipeline.engine.indices import DAY_MS, Indices, refresh
from pipeline.engine.mappings import fields_of
from pipeline.engine.result import Coverage, PassResult
from pipeline.engine.scope import world
from pipeline.engine.sight import Sight
from pipeline.errors import ConfigurationError
from pipeline.events.mark import concerns

Progress = Callable[[float], None]


def evaluate_over(
    sight: Sight, indices: Indices, detection: Detection, span: tuple[int, int], progress: Progress | None
) -> PassResult:
    """Return all crossings in `[span[0], span[1])`; see `protocol.Evaluator.over`.

    No silence is judged where an index cannot be looked at: what is missing may be what was not silent.
    """
    if span[1] <= span[0]:
        raise ConfigurationError("the end of the time range is not after its beginning")
    evidence_ms = detection.kind.evidence_ms
    refreshed = indices.overlapping(span[0] - evidence_ms, span[1] - 1)
    refresh(sight.client, refreshed)
    found: dict[tuple[Group, str | None], Finding] = {}
    touched = suspected = 0
    missing = trouble = indices.trouble(span[0] - evidence_ms, span[1] - 1, fields_of(detection.kind))
    if missing and detection.kind.follows_clock:
        return PassResult(detection, Checkpoint(), complete=False, error=missing)
    slices = _slices(indices, span, max(DAY_MS, evidence_ms))
    for number, (start, end) in enumerate(slices, 1):
        marks = sight.marks(indices, indices.overlapping(start - evidence_ms, end - 1), refreshed)
        drills = {drill for drill in marks.drills() if concerns(drill, detection.id)}
        for drill in (None, *sorted(drills)):
            view = sight.view(detection, indices, world(marks, drill))
            outcome = sight.run(evaluate_history(view, start, end))
            touched += outcome.touched
            suspected += outcome.suspects
            trouble = trouble or outcome.trouble
            for finding in outcome.findings:
                _append(found, finding)
        if progress is not None:
            progress(number / len(slices))
    return PassResult(
        detection,
        Checkpoint(),
        findings=tuple(sorted(found.values(), key=lambda one: (one.crossings[0].time_ms, one.group))),
        complete=not missing,
        error=trouble or None,
        coverage=Coverage(touched=touched, suspects=suspected),
    )


def past(kind: Kind, span: tuple[int, int], now_ms: int) -> tuple[int, int] | None:
    """Return the part of `span` of which `kind` can say something at `now_ms`: no silence is over before its time."""
    last = min(span[1], now_ms + 1) if kind.follows_clock else span[1]
    return (span[0], last) if span[0] < last else None


def _slices(indices: Indices, span: tuple[int, int], width: int) -> list[tuple[int, int]]:
    """Return the parts of `span` that can hold crossings, ending at midnights."""
    first, last = span
    days = [index.day_ms for index in indices.all]
    if not days:
        return []
    if None not in days:
        known = [day for day in days if day is not None]
        first = max(first, min(known))
        last = min(last, max(known) + DAY_MS + width)
    slices = []
    while first < last:
        end = min(last, first + width - first % DAY_MS)
        slices.append((first, end))
        first = end
    return slices


def _append(found: dict[tuple[Group, str | None], Finding], finding: Finding) -> None:
    key = (finding.group, finding.drill)
    known = found.get(key)
    if known is not None:
        finding = Finding(finding.detection_id, finding.group, known.crossings + finding.crossings, finding.drill)
    found[key] = finding
