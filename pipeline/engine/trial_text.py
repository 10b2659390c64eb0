"""A trial's verdict in words: what was expected, what happened, and the events that it happened to."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from pipeline.detection.detection import Detection
from pipeline.engine.finding import group_text
from pipeline.engine.trial import BASE_MS, Case, Verdict
from pipeline.events.values import counted

_LINES_MAX = 20
_VALUES_MAX = 3


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Yield a line for the detection, and an explanation of each example that is not as it says."""
    detection = verdict.detection
    failed = [case for case in verdict.cases if not case.passed]
    examples = counted(len(verdict.cases), "example")
    if not any(case.fires for case in verdict.cases):
        yield f"FAIL {detection.id}: has no example that fires; add one, such as fires=[burst(5)]"
    elif failed:
        yield f"FAIL {detection.id}: {len(failed)} of {examples}"
    else:
        yield f"ok   {detection.id}: {examples}"
    for case in failed:
        yield from explanation(detection, case)
    yield from _untested(verdict)


def _untested(verdict: Verdict) -> Iterator[str]:
    """Yield the mutations that no example notices, with the values of one condition in one line."""
    for what, labels in groupby(verdict.untested, key=lambda label: label.partition(": ")[0]):
        values = [value for label in labels if (value := label.partition(": ")[2])]
        if not values:
            yield f"     untested: {what} changes no example"
            continue
        more = f" and {len(values) - _VALUES_MAX} more" if len(values) > _VALUES_MAX else ""
        yield f"     untested: {what}: {', '.join(values[:_VALUES_MAX])}{more} changes no example"


def explanation(detection: Detection, case: Case) -> Iterator[str]:
    """Yield why an example failed."""
    expected, found = ("fires", "stayed quiet") if case.fires else ("quiet", "fired")
    yield f"     {expected}: {case.example.name} {found if case.error is None else 'could not run'}"
    if case.error is not None:
        yield f"       {case.error}"
        return
    grouped = f", by {' and '.join(detection.group_by)}" if detection.group_by else ""
    yield f"       - wanted: {'' if case.fires else 'not '}{detection.kind.summary()}{grouped}"
    for finding in case.findings[:3]:
        crossing = finding.crossings[0]
        instant = _at(crossing.time_ms - BASE_MS)
        yield f"       + found: {group_text(finding.group)} at {instant}, counting {crossing.count}"
    if not case.findings:
        yield "       + found: nothing"
    yield from _events(case)


def _events(case: Case) -> Iterator[str]:
    lines = [
        f"{_at(same[0].time_ms - BASE_MS)}{f' to {_at(same[-1].time_ms - BASE_MS)}' if len(same) > 1 else ''}: "
        f"{f'{len(same)} events ' if len(same) > 1 else ''}{_fields(same[0].fields)}"
        f"{f', arriving in pass {same[0].arrives + 1}' if same[0].arrives else ''}"
        for same in (
            list(group) for _, group in groupby(case.documents, key=lambda event: (event.arrives, event.fields))
        )
    ]
    for line in lines[:_LINES_MAX]:
        yield f"         {line}"
    if len(lines) > _LINES_MAX:
        yield f"         and {len(lines) - _LINES_MAX} more"


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as a JSON-safe value."""
    return {
        "detection": verdict.detection.id,
        "passed": verdict.passed,
        "untested": list(verdict.untested),
        "examples": [
            {
                "name": case.example.name,
                "expected": "fires" if case.fires else "quiet",
                "passed": case.passed,
                "error": case.error,
                "events": len(case.documents),
                "crossings": [
                    {"group": dict(finding.group), "at_ms": crossing.time_ms - BASE_MS, "count": crossing.count}
                    for finding in case.findings
                    for crossing in finding.crossings
                ],
            }
            for case in verdict.cases
        ],
    }


def _fields(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _at(time_ms: int) -> str:
    hours, rest = divmod(abs(time_ms), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{'-' if time_ms < 0 else ''}{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
