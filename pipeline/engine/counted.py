"""The rows of kinds that count events, of which one may have several values and so several rows.

Invariants: a row says how many events its instant has wherever that is not the sum of its rows; no event is counted
that was not there when the rows were read, and none is told that was not counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.detection.timeline import Row
from pipeline.elastic.search import Search
from pipeline.engine.queries import GroupValues, group_of, group_sources, time_source
from pipeline.engine.reading import read_rows, refuse_too_many
from pipeline.engine.steps import Bucket, Step, ask
from pipeline.engine.view import View

_Counts = dict[int, int]
"""Events by instant."""


def read_counted(
    view: View, window: tuple[int, int], groups: Sequence[Query], group_by: Sequence[str], size: int
) -> Step[Mapping[GroupValues, Iterable[Row]]]:
    """Return what `read_rows` does, with the number of events beside rows where the kind counts them."""
    kind = view.kind
    if not kind.counts_events or not kind.columns:
        return (yield from read_rows(view, window, groups, group_by, size))
    events, lists = yield from _survey(view, window, groups)
    if not lists:
        found = yield from read_rows(view, window, groups, group_by, size)
        if sum(row.count for rows in found.values() for row in rows) == events:
            return found  # each event has the one row that it has at least
    counts = yield from _counted(view, window, groups, group_by, size)
    found = yield from read_rows(view, window, groups, group_by, size)
    return {group: _beside(rows, counts.get(group, {})) for group, rows in found.items()}


def _survey(view: View, window: tuple[int, int], groups: Sequence[Query]) -> Step[tuple[int, bool]]:
    """Return how many events there are, and whether some have several values of a column."""
    names = view.names(*window)
    if not names:
        return 0, False
    aggs: dict[str, Any] = {}
    for number, name in enumerate(view.kind.columns):
        aggs |= {f"v{number}": {"value_count": {"field": name}}, f"m{number}": {"missing": {"field": name}}}
    body = {"size": 0, "track_total_hits": True, "query": view.query(*window, *groups), "aggs": aggs}
    answer = yield from ask(Search.of(names, body, timeout_ms=view.timeout_ms))
    events = int(answer["hits"]["total"]["value"])
    found = answer.get("aggregations", {})
    return events, any(
        found[f"v{number}"]["value"] + found[f"m{number}"]["doc_count"] > events
        for number in range(len(view.kind.columns))
    )


def _counted(
    view: View, window: tuple[int, int], groups: Sequence[Query], group_by: Sequence[str], size: int
) -> Step[Mapping[GroupValues, _Counts]]:
    counts: dict[GroupValues, _Counts] = {}
    held = 0

    def take(buckets: list[Bucket]) -> bool:
        nonlocal held
        held += len(buckets)
        refuse_too_many(held)
        for bucket in buckets:
            counts.setdefault(group_of(bucket, group_by), {})[int(bucket["key"]["t"])] = bucket["doc_count"]
        return True

    yield from view.buckets(window, groups, [*group_sources(group_by), time_source()], take, size=size)
    return counts


def _beside(rows: Iterable[Row], counts: _Counts) -> Iterator[Row]:
    """Yield the rows of the instants that were counted, each with its count."""
    for row in rows:
        events = counts.get(row.time_ms)
        if events is not None:
            yield Row(row.time_ms, row.count, row.values, row.stream, events)
