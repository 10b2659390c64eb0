"""One detection's evaluation: arrivals, suspects, timelines, findings."""

from dataclasses import dataclass

from pipeline.engine.arrivals import Touched, arrivals, matured
from pipeline.engine.finding import Finding
from pipeline.engine.memory import recall
from pipeline.engine.plan import Plan
from pipeline.engine.result import Learned
from pipeline.engine.steps import Step
from pipeline.engine.ticking import Tick
from pipeline.engine.timelines import Judge
from pipeline.engine.totals import Suspect, suspects, suspects_of_history
from pipeline.engine.view import View
from pipeline.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation found, and what it looked at; the numbers are those of `Coverage`.

    `trouble` says of which groups the condition could not be judged, if any.
    """

    findings: tuple[Finding, ...] = ()
    touched: int = 0
    suspects: int = 0
    too_late: int = 0
    misfiled: int = 0
    ungrouped: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None
    learned: tuple[Learned, ...] = ()
    trouble: str = ""
    unjudged: int = 0


def evaluate(view: View, plan: Plan, tick: Tick, arrived: Touched | None = None) -> Step[Evaluated]:
    """Evaluate the arrivals of the step `plan`, and what the clock brought.

    `arrived` is what `arrivals` would find, where that was asked for in common with other detections.
    """
    now_ms = tick.upto_ms
    touched = (yield from arrivals(view, plan)) if arrived is None else arrived
    oldest_ms, newest_ms = touched.hull
    if view.kind.follows_clock:
        touched.keep_before(tick.after_ms - view.kind.earliest_ms)
        yield from matured(view, touched, tick.after_ms, now_ms)
    learned: tuple[Learned, ...] = ()
    if view.kind.remembers and view.scope.drill is None:
        recalled = yield from recall(view, touched)
        learned = tuple(recalled.learned)
        suspected = [Suspect(group, tuple(touched.spans[group]), 1) for group in sorted(recalled.unknown)]
    else:
        suspected = yield from suspects(view, touched, now_ms)
    judge = Judge(view, now_ms, view.kind.influence_ms)
    yield from judge.judge(suspected)
    return Evaluated(
        _findings(judge),
        trouble=_trouble(judge),
        unjudged=judge.failures,
        touched=len(touched.spans),
        suspects=len(suspected),
        too_late=touched.too_late,
        misfiled=touched.misfiled,
        ungrouped=touched.ungrouped,
        oldest_ms=oldest_ms,
        newest_ms=newest_ms,
        learned=learned,
    )


def evaluate_history(view: View, from_ms: int, to_ms: int) -> Step[Evaluated]:
    """Evaluate history: all crossings in `[from_ms, to_ms)`."""
    suspected = yield from suspects_of_history(view, from_ms, to_ms)
    judge = Judge(view, to_ms - 1, 0)
    yield from judge.judge(suspected)
    trouble = _trouble(judge)
    return Evaluated(_findings(judge), len(suspected), len(suspected), trouble=trouble, unjudged=judge.failures)


def _trouble(judge: Judge) -> str:
    """Return what to say of groups whose judgement failed; raises `PermanentError` where none could be judged."""
    if not judge.failures:
        return ""
    if not judge.judged:
        raise PermanentError(judge.failure)
    return f"{judge.failures} of the groups could not be judged, or not wholly, and it went on: {judge.failure}"


def _findings(judge: Judge) -> tuple[Finding, ...]:
    """Return the judge's findings, the group with the earliest crossing first."""
    view = judge.view
    found = [
        Finding(
            view.detection.id,
            tuple(zip(view.group_by, group, strict=True)),
            tuple(crossings[time_ms] for time_ms in sorted(crossings)),
            view.scope.drill,
        )
        for group, crossings in judge.found.items()
    ]
    return tuple(sorted(found, key=lambda finding: (finding.crossings[0].time_ms, finding.group)))
