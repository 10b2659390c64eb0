"""Which of the touched groups may have a crossing: counts over the reach around their arrivals.

Invariant: no group that has a crossing which its arrivals can have made is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.detection.kind import Totals
from pipeline.detection.where import Query
from pipeline.elastic.search import Search
from pipeline.engine.arrivals import Touched
from pipeline.engine.queries import GroupValues, group_of, group_sources, near_groups
from pipeline.engine.steps import Bucket, Step, ask, together
from pipeline.engine.view import View

_GROUPS_PER_SEARCH = 5_000
_ERA_GAP_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Suspect:
    """A group that may have a crossing: the spans of its arrivals, and how many events lie in their reach or more."""

    group: GroupValues
    spans: tuple[tuple[int, int], ...]
    events: int

    @property
    def first_ms(self) -> int:
        """Return the instant of the first arrival."""
        return self.spans[0][0]

    @property
    def last_ms(self) -> int:
        """Return the instant of the last arrival."""
        return self.spans[-1][1]


@dataclass(slots=True)
class _Era:
    """Spans that lie near one another, so that their groups' totals are taken together."""

    first_ms: int
    last_ms: int
    spans: dict[GroupValues, list[tuple[int, int]]]


def suspects(view: View, touched: Touched) -> Step[list[Suspect]]:
    """Return the touched groups that may have a crossing."""
    kind = view.kind
    found: list[Suspect] = []

    def among(spans: Mapping[GroupValues, list[tuple[int, int]]]) -> _Judge:
        def judge(group: GroupValues, totals: Totals) -> None:
            own = spans.get(group)
            if own is not None and kind.may_fire(totals):
                found.append(Suspect(group, tuple(own), totals.events))

        return judge

    steps = []
    for era in _eras(view, touched):
        window = (era.first_ms - kind.evidence_ms, era.last_ms + kind.influence_ms)
        groups = list(era.spans)
        for start in range(0, len(groups), _GROUPS_PER_SEARCH):
            part = {group: era.spans[group] for group in groups[start : start + _GROUPS_PER_SEARCH]}
            steps.append(_totals(view, window, near_groups(view.group_by, part), among(part), len(part)))
    yield from together(steps)
    return found


def suspects_of_history(view: View, from_ms: int, to_ms: int) -> Step[tuple[list[Suspect], int]]:
    """Return the groups that may have a crossing in `[from_ms, to_ms)`, and how many groups there are."""
    found: list[Suspect] = []
    groups = 0

    def judge(group: GroupValues, totals: Totals) -> None:
        nonlocal groups
        groups += 1
        if view.kind.may_fire(totals):
            found.append(Suspect(group, ((from_ms, to_ms - 1),), totals.events))

    yield from _totals(view, (from_ms - view.kind.evidence_ms, to_ms - 1), (), judge, _GROUPS_PER_SEARCH)
    return found, groups


def era_gap(view: View) -> int:
    """Return the distance in milliseconds from which on arrivals are looked at apart."""
    return max(view.kind.evidence_ms + view.kind.influence_ms, _ERA_GAP_MS)


def _eras(view: View, touched: Touched) -> list[_Era]:
    gap = era_gap(view)
    eras: list[_Era] = []
    spans = sorted((first, last, group) for group, spans in touched.spans.items() for first, last in spans)
    for first, last, group in spans:
        if not eras or first - eras[-1].last_ms > gap:
            eras.append(_Era(first, last, {}))
        eras[-1].last_ms = max(eras[-1].last_ms, last)
        eras[-1].spans.setdefault(group, []).append((first, last))
    return eras


_Judge = Callable[[GroupValues, Totals], None]


def _totals(view: View, window: tuple[int, int], groups: Sequence[Query], judge: _Judge, expected: int) -> Step[None]:
    streams = {f"s{number}": clause.query() for number, clause in enumerate(view.kind.streams)}
    aggs: dict[str, Any] = {name: {"filter": query} for name, query in streams.items()}

    def totals(bucket: Bucket, events: int) -> Totals:
        return Totals(events, tuple(bucket[name]["doc_count"] for name in streams))

    if not view.group_by:
        names = view.names(*window)
        if names:
            body = {"size": 0, "track_total_hits": True, "query": view.query(*window), "aggs": aggs}
            answer = yield from ask(Search.of(names, body, timeout_ms=view.timeout_ms))
            judge((), totals(answer.get("aggregations", {}), answer["hits"]["total"]["value"]))
        return

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            judge(group_of(bucket, view.group_by), totals(bucket, bucket["doc_count"]))
        return True

    size = min(_GROUPS_PER_SEARCH, max(100, expected + 1))
    yield from view.buckets(window, groups, group_sources(view.group_by), take, aggs=aggs, size=size)
