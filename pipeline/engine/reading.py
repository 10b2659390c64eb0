"""Reading the events of groups as rows, and no further than a kind's memory says.

Invariants: rows are in time order; all events of an instant that is reported are read; what is left out
decides nothing about the instants that are judged.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.detection.kind import Memory
from pipeline.detection.timeline import Row, Scalar
from pipeline.elastic.search import Search
from pipeline.engine.queries import TIME, GroupValues, column_sources, group_of, group_sources, time_source
from pipeline.engine.steps import PAGE_NEXT, Bucket, Step, together
from pipeline.engine.view import View
from pipeline.errors import PermanentError

ROWS_MAX = 5_000_000
_WIDEN = 8


def refuse_too_many(rows: int) -> None:
    """Raise `PermanentError` where so many rows are not to be held."""
    if rows > ROWS_MAX:
        raise PermanentError(f"a group has more than {ROWS_MAX:,} rows within reach; narrow where, or the window")


@dataclass(slots=True)
class Rows:
    """Rows in time order, held tightly: a group may have a million."""

    times: "array[int]" = field(default_factory=lambda: array("q"))
    counts: "array[int]" = field(default_factory=lambda: array("q"))
    values: list[tuple[Scalar, ...]] | None = None
    stream: int = 0

    def add(self, time_ms: int, count: int, values: tuple[Scalar, ...]) -> None:
        """Add a row."""
        self.times.append(time_ms)
        self.counts.append(count)
        if values and self.values is None:
            self.values = []
        if self.values is not None:
            self.values.append(values)

    def __iter__(self) -> Iterator[Row]:
        for number, (time_ms, count) in enumerate(zip(self.times, self.counts, strict=True)):
            yield Row(time_ms, count, self.values[number] if self.values is not None else (), self.stream)


def read_rows(
    view: View, window: tuple[int, int], groups: Sequence[Query], group_by: Sequence[str], size: int
) -> Step[Mapping[GroupValues, Iterable[Row]]]:
    """Return the rows of `window` of the events that fit `groups`, by the values of `group_by`."""
    clauses = _stream_clauses(view)
    tables: list[dict[GroupValues, Rows]] = [{} for _ in clauses]
    sources = [*group_sources(group_by), *_row_sources(view)]
    yield from together(
        [
            view.buckets(window, [*groups, *clause], sources, _row_taker(view, table, group_by, number), size=size)
            for number, (clause, table) in enumerate(zip(clauses, tables, strict=True))
        ]
    )
    if len(tables) == 1:
        return tables[0]
    merged: dict[GroupValues, list[Row]] = {}
    for table in tables:
        for group, rows in table.items():
            merged.setdefault(group, []).extend(rows)
    return {group: sorted(rows, key=lambda row: (row.time_ms, row.stream)) for group, rows in merged.items()}


def _row_sources(view: View) -> list[dict[str, Any]]:
    """Return the composite sources of a row: its instant, then its columns."""
    return [time_source(), *column_sources(view.kind.columns)]


def _stream_clauses(view: View) -> list[list[Query]]:
    """Return for each stream the clauses for events that it is the first to fit; none at all where there is one."""
    streams = [clause.query() for clause in view.kind.streams]
    if not streams:
        return [[]]
    return [
        [query, {"bool": {"must_not": streams[:number]}}] if number else [query] for number, query in enumerate(streams)
    ]


def _row_taker(
    view: View, table: dict[GroupValues, Rows], group_by: Sequence[str], stream: int
) -> Callable[[list[Bucket]], bool]:
    columns = range(len(view.kind.columns))
    held = 0

    def take(buckets: list[Bucket]) -> bool:
        nonlocal held
        held += len(buckets)
        refuse_too_many(held)
        for bucket in buckets:
            key = bucket["key"]
            group = group_of(bucket, group_by)
            rows = table.get(group)
            if rows is None:
                rows = table[group] = Rows(stream=stream)
            rows.add(int(key["t"]), bucket["doc_count"], tuple(key[f"c{number}"] for number in columns))
        return True

    return take


def read_before(view: View, group: Sequence[Query], first_ms: int, events: int) -> Step[list[Row]]:
    """Return what the kind's memory keeps of the events before `first_ms`, looking back no further than needed."""
    kind = view.kind
    depth, reach = kind.depth, kind.evidence_ms
    if depth == 0 or reach == 0:
        return []
    back = min(reach, max(1_000, reach * depth * 2 // max(events, 1)))
    while True:
        window = (first_ms - back, first_ms - 1)
        if kind.memory is Memory.LAST:
            rows = yield from _last_rows(view, window, group, depth)
            enough = sum(row.count for row in rows) >= depth
        else:
            rows = (yield from last_of_each(view, window, group, ())).get((), [])[-depth:]
            enough = len(rows) >= depth
        if enough or back == reach:
            return rows
        back = min(reach, back * _WIDEN)


def _last_rows(view: View, window: tuple[int, int], group: Sequence[Query], depth: int) -> Step[list[Row]]:
    columns = range(len(view.kind.columns))
    rows: list[Row] = []

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            values = tuple(bucket["key"][f"c{number}"] for number in columns)
            rows.append(Row(int(bucket["key"]["t"]), bucket["doc_count"], values))
        return len(rows) < depth

    sources = [time_source("desc"), *column_sources(view.kind.columns, "desc")]
    yield from view.buckets(window, group, sources, take, size=min(PAGE_NEXT, depth))
    return rows[::-1]


def last_of_each(
    view: View, window: tuple[int, int], groups: Sequence[Query], group_by: Sequence[str]
) -> Step[dict[GroupValues, list[Row]]]:
    """Return for each group of `window` one row for each of its columns' values: the last of them."""
    columns = range(len(view.kind.columns))
    rows: dict[GroupValues, list[Row]] = {}

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            values = tuple(bucket["key"][f"c{number}"] for number in columns)
            rows.setdefault(group_of(bucket, group_by), []).append(Row(int(bucket["last"]["value"]), 1, values))
        return True

    sources = [*group_sources(group_by), *column_sources(view.kind.columns)]
    yield from view.buckets(window, groups, sources, take, aggs={"last": {"max": {"field": TIME}}}, size=PAGE_NEXT)
    return {group: sorted(found, key=lambda row: row.time_ms) for group, found in rows.items()}


def read_after(view: View, group: Sequence[Query], last_ms: int, influence_ms: int) -> Step[list[Row]]:
    """Return the events after `last_ms` until none before can matter to a later one."""
    kind = view.kind
    depth = kind.depth
    if depth == 0 or influence_ms == 0:
        return []
    rows: list[Row] = []
    columns = range(len(kind.columns))
    seen: set[tuple[Scalar, ...]] = set()

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            values = tuple(bucket["key"][f"c{number}"] for number in columns)
            rows.append(Row(int(bucket["key"]["t"]), bucket["doc_count"], values))
            seen.add(values)
        return (len(rows) if kind.memory is Memory.LAST else len(seen)) < depth

    window = (last_ms + 1, last_ms + influence_ms)
    size = min(PAGE_NEXT, depth if kind.memory is Memory.LAST else max(100, depth))
    yield from view.buckets(window, group, _row_sources(view), take, size=size)
    if kind.memory is Memory.LAST_OF_EACH and len(seen) >= depth:
        # The last instant may have been read in part, and no arrival matters to it any more.
        return [row for row in rows if row.time_ms < rows[-1].time_ms]
    return rows


def read_edges(
    view: View, group: Sequence[Query], span: tuple[int, int], until_ms: int | None, influence_ms: int
) -> Step[Iterable[Row]]:
    """Return a timeline that gives the same crossings in `[span[0], until_ms]` as all of the group's events.

    Only events that enter or leave a window while that time passes are read one by one; those that lie in the
    same window throughout become one row for each stream. Where `until_ms` is None it is the last event after
    which the span's events still matter.
    """
    kind = view.kind
    first, last = span[0] - 1, span[1]
    if until_ms is None:
        later: list[int] = []
        window = (last + 1, last + influence_ms)
        yield from view.buckets(window, group, [time_source("desc")], _first_instant(later), size=1)
        until_ms = later[0] if later else last
    until_ms = max(until_ms, last)
    edges = (0, *kind.edges)
    strips = [(first - edge + (1 if edge else 0), until_ms - edge) for edge in edges]
    zones = [(until_ms - far + 1, first - near - (0 if near else 1)) for near, far in pairwise(edges)]
    if any(start > end for start, end in zones):
        whole = (first - kind.evidence_ms, until_ms)
        rows = yield from read_rows(view, whole, group, (), size=PAGE_NEXT)
        return rows.get((), ())
    read = yield from together([read_rows(view, strip, group, (), size=PAGE_NEXT) for strip in strips])
    merged = [row for rows in read for row in rows.get((), ())]
    merged += yield from _condensed(view, group, zones)
    return sorted(merged, key=lambda row: (row.time_ms, row.stream))


def _first_instant(found: list[int]) -> Callable[[list[Bucket]], bool]:
    def take(buckets: list[Bucket]) -> bool:
        found.append(int(buckets[0]["key"]["t"]))
        return False

    return take


def _condensed(view: View, group: Sequence[Query], zones: Sequence[tuple[int, int]]) -> Step[list[Row]]:
    """Return a row for each zone and stream that has events: at the first of them, with their number."""
    wanted = [(zone, number, clause) for zone in zones for number, clause in enumerate(_stream_clauses(view))]
    searches = [
        Search.of(
            view.names(*zone),
            {
                "size": 0,
                "track_total_hits": True,
                "query": view.query(*zone, *group, *clause),
                "aggs": {"lo": {"min": {"field": TIME}}},
            },
            timeout_ms=view.timeout_ms,
        )
        for zone, _, clause in wanted
        if view.names(*zone)
    ]
    answers = iter((yield searches) if searches else [])
    rows = []
    for zone, stream, _ in wanted:
        if not view.names(*zone):
            continue
        answer = next(answers)
        count = int(answer["hits"]["total"]["value"])
        if count:
            rows.append(Row(int(answer["aggregations"]["lo"]["value"]), count, (), stream))
    return rows
