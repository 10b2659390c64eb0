"""What each kind of detection means, said once more and as simply as possible: by looking at every event.

Slow on purpose. It shares nothing with the kinds but their parameters and the clause that selects events.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise, product
from math import ceil, fsum
from typing import Any

from pipeline.detection import (
    Absence,
    Change,
    Crossing,
    Custom,
    DistinctCount,
    Drop,
    Match,
    Metric,
    NewValue,
    Share,
    Spike,
    Threshold,
    Window,
)
from pipeline.detection import Sequence as Stages
from pipeline.detection.kind import ByCount, Kind
from pipeline.detection.timeline import Row
from pipeline.detection.where import compile_where

Event = Mapping[str, Any]
Truth = dict[tuple[str, ...], dict[int, Crossing]]


def truth(kind: Kind, events: Sequence[Event], now_ms: int) -> Truth:
    """Return every crossing of every group, by instant, given that `events` are all there are at `now_ms`."""
    groups: dict[tuple[str, ...], list[Event]] = {}
    needed = (*kind.group, *kind.required)
    selected = compile_where(kind.where)
    for event in events:
        if selected.matches(event) and all(event.get(name) is not None for name in needed):
            groups.setdefault(tuple(str(event[name]) for name in kind.group), []).append(event)
    found: Truth = {}
    for group, own in groups.items():
        own.sort(key=lambda event: event["@timestamp"])
        crossings = _BY_KIND[type(kind)](kind, own, now_ms)
        if crossings:
            found[group] = {crossing.time_ms: crossing for crossing in crossings}
    return found


def at(event: Event) -> int:
    time_ms: int = event["@timestamp"]
    return time_ms


def moments(events: Sequence[Event]) -> list[int]:
    return sorted({at(event) for event in events})


def inside(events: Sequence[Event], after: int, upto: int) -> list[Event]:
    return [event for event in events if after < at(event) <= upto]


def levels(kind: Threshold | DistinctCount | Share) -> list[tuple[int, Any]]:
    if isinstance(kind.severity, ByCount):
        return list(kind.severity.levels)
    return [(kind.at_least, None)]


def threshold(kind: Threshold, events: Sequence[Event], _: int) -> list[Crossing]:
    found = []
    for t in moments(events):
        times = [at(event) for event in events if at(event) <= t]
        best = None
        for count, severity in levels(kind):
            if len(times) >= count and t - times[-count] < kind.within:
                best = Crossing(t, times[-count], count, severity)
        if best:
            found.append(best)
    return found


def each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def distinct_count(kind: DistinctCount, events: Sequence[Event], _: int) -> list[Crossing]:
    found = []
    for t in moments(events):
        reached = inside(events, t - kind.within, t)
        latest = {value: at(event) for event in reached for value in each(event[kind.field])}
        times = sorted(latest.values(), reverse=True)
        best = None
        for count, severity in levels(kind):
            if len(times) >= count:
                best = Crossing(t, times[count - 1], count, severity)
        if best:
            found.append(best)
    return found


def match(_: Match, events: Sequence[Event], __: int) -> list[Crossing]:
    return [Crossing(t, t, len(inside(events, t - 1, t))) for t in moments(events)]


def stages(kind: Stages, events: Sequence[Event], _: int) -> list[Crossing]:
    wheres = [compile_where(stage.where) for stage in kind.stages]
    staged = sorted(
        (at(event), next(number for number, where in enumerate(wheres) if where.matches(event)))
        for event in events
        if any(where.matches(event) for where in wheres)
    )
    found = []
    for t in sorted({time for time, stage in staged if stage == len(wheres) - 1}):
        window = [entry for entry in staged if t - kind.within < entry[0] <= t]
        if _completes(kind, window):
            first = min(time for time, stage in window if stage == 0)
            found.append(Crossing(t, first, sum(stage.at_least for stage in kind.stages)))
    return found


def _completes(kind: Stages, staged: Sequence[tuple[int, int]]) -> bool:
    current, left = 0, kind.stages[0].at_least
    for _, stage in staged:
        if current < len(kind.stages) and stage == current:
            left -= 1
            if left == 0:
                current += 1
                left = kind.stages[current].at_least if current < len(kind.stages) else 0
    return current == len(kind.stages)


def share(kind: Share, events: Sequence[Event], _: int) -> list[Crossing]:
    of, at_ = compile_where(kind.of), None if kind.at is None else compile_where(kind.at)
    found = []
    for t in moments(events):
        window = inside(events, t - kind.within, t)
        if at_ is not None and not any(at_.matches(e) and not of.matches(e) for e in inside(events, t - 1, t)):
            continue
        fitting = sum(of.matches(event) for event in window)
        enough = len(window) >= kind.at_least and fitting >= kind.of_at_least
        if enough and Decimal(fitting) * 100 >= Decimal(str(kind.percent)) * len(window):
            severity = None
            for count, level in levels(kind):
                severity = level if fitting >= count else severity
            found.append(Crossing(t, at(window[0]), fitting, severity, fitting * 100 / len(window)))
    return found


def metric(kind: Metric, events: Sequence[Event], _: int) -> list[Crossing]:
    found = []
    for t in moments(events):
        window = inside(events, t - kind.within, t)
        values = sorted(float(value) for event in window for value in each(event[kind.field]))
        measured = {
            "sum": fsum(values),
            "average": fsum(values) / len(values),
            "minimum": values[0],
            "maximum": values[-1],
            "percentile": values[ceil(Decimal(str(kind.percent)) * len(values) / 100) - 1],
        }[kind.measure]
        over = kind.above is not None and measured > kind.above
        under = kind.below is not None and measured < kind.below
        if len(window) >= kind.at_least and (over or under):
            found.append(Crossing(t, at(window[0]), len(window), value=measured))
    return found


def change(kind: Change, events: Sequence[Event], _: int) -> list[Crossing]:
    ordered = sorted(events, key=lambda event: (at(event), event[kind.field]))
    found: dict[int, Crossing] = {}
    for before, event in pairwise(ordered):
        if before[kind.field] != event[kind.field] and at(event) - at(before) < kind.within:
            found.setdefault(at(event), Crossing(at(event), at(before), 2))
    return list(found.values())


def spike(kind: Spike, events: Sequence[Event], _: int) -> list[Crossing]:
    found = []
    for t in moments(events):
        window = inside(events, t - kind.within, t)
        before = len(inside(events, t - kind.within - kind.baseline_ms, t - kind.within))
        expected = before * kind.within / kind.baseline_ms
        if before == 0 and kind.known_only:
            continue
        if len(window) >= kind.at_least and len(window) >= kind.ratio * expected:
            found.append(Crossing(t, at(window[0]), len(window), value=expected))
    return found


def drop(kind: Drop, events: Sequence[Event], now_ms: int) -> list[Crossing]:
    def measured(t: int) -> tuple[int, int]:
        start = t - kind.within
        return len(inside(events, start, t)), len(inside(events, start - kind.baseline_ms, start))

    def holds(t: int) -> bool:
        now, before = measured(t)
        return before >= kind.at_least and now <= kind.ratio * (before * kind.within / kind.baseline_ms)

    found = []
    emptied = at(events[-1]) + kind.within + kind.baseline_ms  # from then on both are without events
    for t in range(at(events[0]), min(now_ms, emptied) + 1):
        if holds(t) and not holds(t - 1):
            now, before = measured(t)
            found.append(Crossing(t, t - kind.within, now, value=before * kind.within / kind.baseline_ms))
    return found


def absence(kind: Absence, events: Sequence[Event], now_ms: int) -> list[Crossing]:
    found = []
    for e in moments(events):
        t = e + kind.within
        known = len(inside(events, e - kind.known_ms, e))
        if t <= now_ms and not inside(events, e, t) and known >= kind.at_least:
            found.append(Crossing(t, e, known))
    return found


def new_value(kind: NewValue, events: Sequence[Event], _: int) -> list[Crossing]:
    def values(event: Event) -> tuple[Any, ...]:
        return tuple(event[name] for name in kind.columns)

    found = []
    for t in moments(events):
        earlier = inside(events, t - kind.over, t - 1)
        seen = {values(event) for event in earlier}
        new = {values(event) for event in inside(events, t - 1, t)} - seen
        if new and (earlier or kind.first_too):
            found.append(Crossing(t, t, len(new)))
    return found


def custom(kind: Custom, events: Sequence[Event], _: int) -> list[Crossing]:
    found = []
    for t in moments(events):
        window = inside(events, t - kind.within, t)
        rows = tuple(
            Row(at(event), 1, values, events=len(inside(window, at(event) - 1, at(event))))
            for event in window
            for values in product(*(each(event.get(name)) for name in kind.columns))
        )
        if len(window) >= kind.at_least and kind.judge(Window(t, rows, kind.columns)):
            found.append(Crossing(t, at(window[0]), len(window)))
    return found


_BY_KIND: dict[type[Kind], Any] = {
    Absence: absence,
    Change: change,
    Custom: custom,
    DistinctCount: distinct_count,
    Drop: drop,
    Match: match,
    Metric: metric,
    NewValue: new_value,
    Share: share,
    Spike: spike,
    Stages: stages,
    Threshold: threshold,
}


def episodes(told: Sequence[Sequence[int]], quiet: int) -> list[tuple[int, int]]:
    """Return the first and last crossing of each episode of a group, in the order in which they began to be known.

    `told` holds what each finding said, in the order of the findings. Crossings of a finding with gaps of at most
    `quiet` are one run; a run within `quiet` of episodes joins the first known of these, another is the next.
    """
    known: list[tuple[int, int]] = []
    for instants in told:
        runs: list[list[int]] = []
        for instant in sorted(instants):
            if runs and instant - runs[-1][-1] <= quiet:
                runs[-1].append(instant)
            else:
                runs.append([instant])
        for run in runs:
            near = [n for n, (first, last) in enumerate(known) if first - quiet <= run[-1] and run[0] <= last + quiet]
            if near:
                first, last = known[near[0]]
                known[near[0]] = (min(first, run[0]), max(last, run[-1]))
            else:
                known.append((run[0], run[-1]))
    return known
