"""Which of the touched groups may have a crossing: counts over the reach around their arrivals.

Invariant: no group that has a crossing which its arrivals can have made is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.detection.kind import Totals
from pipeline.elastic.search import Search
from pipeline.engine.arrivals import Touched
from pipeline.engine.queries import GroupValues, group_of, group_sources, near_groups, times, word
from pipeline.engine.steps import Bucket, Step, ask, together
from pipeline.engine.view import View
from pipeline.events.fields import FIELDS

_GROUPS_PER_SEARCH = 5_000
_ERA_GAP_MS = 3_600_000
_LARGEST = 10_000


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


def suspects(view: View, touched: Touched, now_ms: int) -> Step[list[Suspect]]:
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
    eras = [(era, _Totals.of_era(view, era, now_ms)) for era in _eras(view, touched)]
    lists = (yield from together([_lists(view, totals.window) for _, totals in eras])) if kind.values_of else []
    for number, (era, totals) in enumerate(eras):
        totals = replace(totals, lists=bool(lists) and lists[number])  # noqa: PLW2901
        groups = list(era.spans)
        for start in range(0, len(groups), _GROUPS_PER_SEARCH):
            part = {group: era.spans[group] for group in groups[start : start + _GROUPS_PER_SEARCH]}
            if totals.are_counts:
                steps.append(totals.read_counts([value for (value,) in part], among(part)))
            else:
                steps.append(totals.read(near_groups(view.group_by, part), among(part), len(part)))
    yield from together(steps)
    return found


def suspects_of_history(view: View, from_ms: int, to_ms: int) -> Step[list[Suspect]]:
    """Return the groups that may have a crossing in `[from_ms, to_ms)`."""
    kind = view.kind
    window = (from_ms - kind.evidence_ms, to_ms - 1)
    spans = ((from_ms - kind.earliest_ms, to_ms - 1),)
    found: list[Suspect] = []

    def judge(group: GroupValues, totals: Totals) -> None:
        if kind.may_fire(totals):
            found.append(Suspect(group, spans, totals.events))

    lists = (yield from _lists(view, window)) if kind.values_of else False
    by_size = len(view.group_by) == 1 and kind.least_events > 1 and not lists
    largest = (yield from _largest(view, window)) if by_size else None
    if largest is None:
        yield from _Totals(view, window, lists=lists).read((), judge, _GROUPS_PER_SEARCH)
    elif kind.streams:
        yield from _Totals(view, window).read(near_groups(view.group_by, largest), judge, len(largest))
    else:
        for group, events in largest.items():
            judge(group, Totals(events))
    return found


def _lists(view: View, window: tuple[int, int]) -> Step[bool]:
    """Return whether events of `window` hold several values of the field whose values the kind counts."""
    names = view.names(*window)
    if not names:
        return False
    values = {"values": {"value_count": {"field": view.kind.values_of}}}
    body = {"size": 0, "track_total_hits": True, "query": view.loosely(*window), "aggs": values}
    answer = yield from ask(Search.of(names, body, timeout_ms=view.timeout_ms))
    return bool(answer["aggregations"]["values"]["value"] > answer["hits"]["total"]["value"])


def _largest(view: View, window: tuple[int, int]) -> Step[dict[GroupValues, int] | None]:
    """Return all groups that have the kind's `least_events` in `window`, and how many they have at most.

    None where the answer does not prove that they are all. A group that is not in it has at most the answer's error
    beyond what is known of it (`doc_count_error_upper_bound` of the `terms` aggregation: the shards' smallest counts,
    added up), and that is either below what was asked for at least, or not above the smallest count that is there.
    """
    names = view.names(*window)
    if not names:
        return {}
    least = view.kind.least_events
    shards = view.indices.shard_count(names)
    asked = least if shards == 1 else max(1, least - shards)
    terms = {
        "field": view.group_by[0],
        "size": _LARGEST,
        "shard_size": _LARGEST,
        "min_doc_count": asked,
        "show_term_doc_count_error": True,
    }
    body = {"size": 0, "query": view.query(*window), "aggs": {"largest": {"terms": terms}}}
    answer = yield from ask(Search.of(names, body, timeout_ms=view.timeout_ms, weight=_LARGEST))
    result = answer["aggregations"]["largest"]
    error = int(result["doc_count_error_upper_bound"])
    buckets = result["buckets"]
    cut = len(buckets) == _LARGEST and buckets[-1]["doc_count"] + error >= least
    if cut or asked - 1 + error >= least:
        return None
    possible = {
        (word(_key(bucket)),): bucket["doc_count"] + bucket["doc_count_error_upper_bound"] for bucket in buckets
    }
    return {group: events for group, events in possible.items() if events >= least}


def _key(bucket: Bucket) -> object:
    return bucket.get("key_as_string", bucket["key"])


def era_gap(view: View) -> int:
    """Return the distance in milliseconds from which on arrivals are looked at apart."""
    return max(view.kind.evidence_ms + view.kind.influence_ms, _ERA_GAP_MS)


def _eras(view: View, touched: Touched) -> list[_Era]:
    gap = era_gap(view)
    if not touched.spans:
        return []
    earliest = min(spans[0][0] for spans in touched.spans.values())
    latest = max(spans[-1][1] for spans in touched.spans.values())
    if latest - earliest <= gap:
        return [_Era(earliest, latest, touched.spans)]
    eras: list[_Era] = []
    spans = sorted((first, last, group) for group, spans in touched.spans.items() for first, last in spans)
    for first, last, group in spans:
        if not eras or first - eras[-1].last_ms > gap:
            eras.append(_Era(first, last, {}))
        eras[-1].last_ms = max(eras[-1].last_ms, last)
        eras[-1].spans.setdefault(group, []).append((first, last))
    return eras


_Judge = Callable[[GroupValues, Totals], None]


@dataclass(frozen=True, slots=True)
class _Totals:
    """Counts of groups in `window`. `judged` are the instants that probes are for, where probes apply at all.

    Instants after the last arrival are judged too where there are events in `after`; then no probe applies. `lists`
    says that values have to be counted, since events hold several of them.
    """

    view: View
    window: tuple[int, int]
    judged: tuple[int, int] | None = None
    after: tuple[int, int] | None = None
    lists: bool = False

    @classmethod
    def of_era(cls, view: View, era: _Era, now_ms: int) -> "_Totals":
        """Return the counts for the arrivals of an era."""
        kind = view.kind
        window = (era.first_ms - kind.evidence_ms, era.last_ms + kind.influence_ms)
        if kind.follows_clock:
            return cls(view, window, (era.first_ms + kind.earliest_ms, min(now_ms, window[1])))
        return cls(view, window, (era.first_ms, era.last_ms), (era.last_ms + 1, window[1]))

    def read(self, groups: Sequence[Query], judge: _Judge, expected: int) -> Step[None]:
        """Tell `judge` the totals of the groups that fit the clauses `groups`, of which about so many are expected."""
        aggs = self._aggregations()
        group_by, totals = self.view.group_by, self._reader()
        if not group_by:
            names = self.view.names(*self.window)
            if names:
                body = {"size": 0, "track_total_hits": True, "query": self.view.query(*self.window), "aggs": aggs}
                answer = yield from ask(Search.of(names, body, timeout_ms=self.view.timeout_ms))
                judge((), totals(answer.get("aggregations", {}), answer["hits"]["total"]["value"]))
            return

        def take(buckets: list[Bucket]) -> bool:
            for bucket in buckets:
                judge(group_of(bucket, group_by), totals(bucket, bucket["doc_count"]))
            return True

        size = min(_GROUPS_PER_SEARCH, max(100, expected + 1))
        sources = group_sources(group_by)
        # More events than there are only make more suspects, but for the kinds whose probes also ask for few.
        loosely = not self._probes()
        yield from self.view.buckets(self.window, groups, sources, take, aggs=aggs, size=size, loosely=loosely)

    @property
    def are_counts(self) -> bool:
        """Return whether the events of each group are all that is asked, and `read_counts` can say it."""
        group_by = self.view.group_by
        return len(group_by) == 1 and FIELDS.get(group_by[0]) == "keyword" and not self._aggregations()

    def read_counts(self, values: Sequence[str], judge: _Judge) -> Step[None]:
        """Tell `judge` the totals of those groups, of the one-field groups `values`, that have `least_events`.

        No count is an estimate: every shard returns all the values that were asked for.
        """
        names = self.view.names(*self.window)
        if not names:
            return
        wanted = list(values)
        (name,) = self.view.group_by
        terms = {
            "field": name,
            "include": wanted,
            "size": len(wanted),
            "min_doc_count": self.view.kind.least_events,
            "execution_hint": "map",
        }
        query = self.view.loosely(*self.window, {"terms": {name: wanted}})
        body = {"size": 0, "query": query, "aggs": {"counts": {"terms": terms}}}
        answer = yield from ask(Search.of(names, body, timeout_ms=self.view.timeout_ms, weight=len(wanted)))
        for bucket in answer["aggregations"]["counts"]["buckets"]:
            judge((bucket["key"],), Totals(bucket["doc_count"]))

    def _aggregations(self) -> dict[str, Any]:
        clauses = {f"s{number}": clause.query() for number, clause in enumerate(self.view.kind.streams)}
        for number, (first, last) in enumerate(self._probes()):
            clauses[f"p{number}"] = times(first, last)
        if self.after is not None and self._probes():
            clauses["after"] = times(*self.after)
        filters: dict[str, Any] = {name: {"filter": query} for name, query in clauses.items()}
        return filters | ({"values": {"value_count": {"field": self.view.kind.values_of}}} if self.lists else {})

    def _probes(self) -> tuple[tuple[int, int], ...]:
        return () if self.judged is None else self.view.kind.probes(*self.judged)

    def _reader(self) -> Callable[[Bucket, int], Totals]:
        """Return what reads the totals of a bucket with so many events."""
        stream_names = [f"s{number}" for number in range(len(self.view.kind.streams))]
        probe_names = [f"p{number}" for number in range(len(self._probes()))]

        def totals(bucket: Bucket, events: int) -> Totals:
            streams = tuple([bucket[name]["doc_count"] for name in stream_names])
            values = int(bucket["values"]["value"]) if self.lists else None
            if not probe_names or ("after" in bucket and bucket["after"]["doc_count"]):
                return Totals(events, streams, values=values)
            return Totals(events, streams, tuple([bucket[name]["doc_count"] for name in probe_names]), values)

        return totals
