"""When a detection would have fired over history, as it is and as somebody proposes: tuning by looking.

Invariant: both are evaluated by the production engine, exactly; nothing is written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.detection.detection import Detection
from pipeline.detection.kind import ByCount, Kind
from pipeline.engine.finding import Finding, Group
from pipeline.engine.history import past
from pipeline.engine.protocol import Evaluator
from pipeline.errors import ConfigurationError, RetryableError


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that would have been raised: a run of a group's crossings, as one episode."""

    group: Group
    first_ms: int
    last_ms: int
    crossings: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A definition and what it would have raised, in time order."""

    label: str
    summary: str
    alarms: tuple[Alarm, ...]

    def groups(self) -> list[tuple[Group, int]]:
        """Return the groups by their number of alerts, the most first."""
        counted = Counter(alarm.group for alarm in self.alarms)
        return sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))


@dataclass(frozen=True, slots=True)
class Backtest:
    """A detection's variants over `[from_ms, to_ms)`: as it is, and as proposed where something is."""

    detection: Detection
    from_ms: int
    to_ms: int
    variants: tuple[Variant, ...]


def backtest(
    engine: Evaluator,
    detection: Detection,
    span: tuple[int, int],
    proposed: Kind | None,
    progress: Callable[[float], None],
    *,
    now_ms: int,
) -> Backtest:
    """Evaluate `detection`, and with the kind `proposed` where there is one, over `[span[0], span[1])`.

    `now_ms` is the time: what the clock has not brought yet is not found. Raises `RetryableError` where history could
    not be evaluated to its end.
    """
    kinds = [("current", detection.kind), *([("proposed", proposed)] if proposed is not None else [])]
    variants = []
    for number, (label, kind) in enumerate(kinds):

        def share(done: float, before: int = number) -> None:
            progress((before + done) / len(kinds))

        findings: Sequence[Finding] = ()
        until_now = past(kind, span, now_ms)
        if until_now is not None:
            result = engine.over(replace(detection, kind=kind), *until_now, share)
            if result.error is not None:
                raise RetryableError(f"{detection.id}: not evaluated: {result.error}")
            findings = result.findings
        variants.append(Variant(label, kind.summary(), alarms(findings, kind.suppress_for)))
    return Backtest(detection, *span, tuple(variants))


def alarms(findings: Iterable[Finding], suppress_for: int) -> tuple[Alarm, ...]:
    """Return the runs of each group's crossings with gaps of at most `suppress_for`; drills are left out."""
    found = []
    for finding in findings:
        run: list[int] = []
        for crossing in finding.crossings if finding.drill is None else ():
            if run and crossing.time_ms - run[-1] > suppress_for:
                found.append(Alarm(finding.group, run[0], run[-1], len(run)))
                run = []
            run.append(crossing.time_ms)
        if run:
            found.append(Alarm(finding.group, run[0], run[-1], len(run)))
    return tuple(sorted(found, key=lambda alarm: (alarm.first_ms, alarm.group)))


def retuned(detection: Detection, at_least: int | None, within: int | None) -> Kind | None:
    """Return the detection's kind with other values, None where none is given.

    Raises `ConfigurationError` where it has no such value, or cannot have this one.
    """
    kind = detection.kind
    changes: dict[str, Any] = {}
    for name, value in (("at_least", at_least), ("within", within)):
        if value is None:
            continue
        if not hasattr(kind, name):
            option = name.replace("_", "-")
            raise ConfigurationError(f"--{option}: {detection.id} is a {type(kind).__name__} and has no {name}")
        changes[name] = value
    begin = changes.get(kind.levels_begin_at)
    if begin is not None and isinstance(kind.severity, ByCount):
        changes["severity"] = kind.severity.beginning_at(begin)
    return replace(kind, **changes) if changes else None


def histogram(variant: Variant, span: tuple[int, int], bins: int) -> Sequence[int]:
    """Return how many alerts began in each of `bins` equal parts of `span`."""
    counts = [0] * bins
    length = span[1] - span[0]
    for alarm in variant.alarms:
        counts[min(bins - 1, (alarm.first_ms - span[0]) * bins // length)] += 1
    return counts
