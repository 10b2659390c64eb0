"""One detection's evaluation: arrivals, suspects, timelines, findings."""

from dataclasses import dataclass

from pipeline.engine.arrivals import arrivals
from pipeline.engine.finding import Finding
from pipeline.engine.plan import Plan
from pipeline.engine.steps import Step
from pipeline.engine.timelines import Judge
from pipeline.engine.totals import suspects, suspects_of_history
from pipeline.engine.view import View


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation found, and what it looked at; the numbers are those of `Coverage`."""

    findings: tuple[Finding, ...] = ()
    touched: int = 0
    suspects: int = 0
    too_late: int = 0
    misfiled: int = 0


def evaluate(view: View, plan: Plan, now_ms: int) -> Step[Evaluated]:
    """Evaluate the arrivals of the step `plan`."""
    touched = yield from arrivals(view, plan)
    suspected = yield from suspects(view, touched)
    judge = Judge(view, now_ms, view.kind.influence_ms)
    yield from judge.judge(suspected)
    return Evaluated(_findings(judge), len(touched.spans), len(suspected), touched.too_late, touched.misfiled)


def evaluate_history(view: View, from_ms: int, to_ms: int) -> Step[Evaluated]:
    """Evaluate history: all crossings in `[from_ms, to_ms)`."""
    suspected, groups = yield from suspects_of_history(view, from_ms, to_ms)
    judge = Judge(view, to_ms - 1, 0)
    yield from judge.judge(suspected)
    return Evaluated(_findings(judge), groups, len(suspected))


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
