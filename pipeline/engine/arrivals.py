"""Which groups received events, and when those events happened.

Invariant: every event of the step that a detection looks at lies in a span of its group. A span is some time in
which events arrived, narrow beside the detection's window, so that one late event does not have a day read
between it and the present.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.detection.timeline import Scalar
from pipeline.engine.indices import Index
from pipeline.engine.plan import Plan, Portion
from pipeline.engine.queries import (
    MISSING,
    TIME,
    GroupValues,
    column_sources,
    group_of,
    group_sources,
    time_source,
)
from pipeline.engine.steps import PAGE_FIRST, Bucket, Step, pages, together
from pipeline.engine.view import View

_WIDTHS_MS = (1_000, 5_000, 15_000, 60_000, 300_000, 900_000)
"""Each divides a day, so that no span lies in two."""

_LOWEST_AND_HIGHEST = {"lo": {"min": {"field": TIME}}, "hi": {"max": {"field": TIME}}}


@dataclass(slots=True)
class Touched:
    """The groups that received events, with the spans of those events, in time order; and what was left out.

    For a kind that remembers, `values` holds the combinations of values that arrived, from when to when.
    """

    spans: dict[GroupValues, list[tuple[int, int]]] = field(default_factory=dict)
    values: dict[GroupValues, dict[tuple[Scalar, ...], tuple[int, int]]] = field(default_factory=dict)
    too_late: int = 0
    misfiled: int = 0
    ungrouped: int = 0

    def add(self, group: GroupValues, first_ms: int, last_ms: int) -> None:
        """Add events of `group` from `first_ms` to `last_ms`."""
        self.spans.setdefault(group, []).append((first_ms, last_ms))

    def note(self, group: GroupValues, span: tuple[int, int], events: int, index: Index, floor_ms: int) -> bool:
        """Add `events` events of `index` that arrived; return whether they are to be evaluated, else count why not."""
        if span[1] < floor_ms:
            self.too_late += events
            return False
        if not index.holds(*span):
            self.misfiled += events
        if any(value is MISSING for value in group):
            self.ungrouped += events
            return False
        self.add(group, *span)
        return True

    def add_values(self, group: GroupValues, values: tuple[Scalar, ...], first_ms: int, last_ms: int) -> None:
        """Add that `values` arrived in `group` from `first_ms` to `last_ms`."""
        found = self.values.setdefault(group, {})
        known = found.get(values, (first_ms, last_ms))
        found[values] = (min(known[0], first_ms), max(known[1], last_ms))

    def keep_before(self, last_ms: int) -> None:
        """Forget spans that begin after `last_ms`."""
        for group, spans in list(self.spans.items()):
            kept = [span for span in spans if span[0] <= last_ms]
            if kept:
                self.spans[group] = kept
            else:
                del self.spans[group]

    @property
    def hull(self) -> tuple[int | None, int | None]:
        """Return the instants between which all spans lie."""
        if not self.spans:
            return None, None
        return (
            min(first for spans in self.spans.values() for first, _ in spans),
            max(last for spans in self.spans.values() for _, last in spans),
        )

    def merge(self, gap_ms: int) -> None:
        """Put every group's spans in order, joining those at most `gap_ms` apart."""
        for group, spans in self.spans.items():
            if len(spans) > 1:
                self.spans[group] = merged(spans, gap_ms)


def merged(spans: list[tuple[int, int]], gap_ms: int) -> list[tuple[int, int]]:
    """Return `spans` in order, those at most `gap_ms` apart as one."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first - result[-1][1] <= gap_ms:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def span_width(view: View) -> int:
    """Return the width in milliseconds within which a detection's arrivals become one span."""
    reach = view.kind.evidence_ms + view.kind.influence_ms
    return max((width for width in _WIDTHS_MS if width <= reach // 256), default=_WIDTHS_MS[0])


def span_source(width_ms: int) -> dict[str, Any]:
    """Return the composite source for the beginning of an event's span."""
    return {"b": {"date_histogram": {"field": TIME, "fixed_interval": f"{width_ms}ms"}}}


def arrivals(view: View, plan: Plan) -> Step[Touched]:
    """Return the groups that received events of the view's detection in the step `plan`."""
    touched = Touched()
    width = span_width(view)
    columns = view.kind.columns if view.kind.remembers else ()
    sources = [
        *group_sources(view.group_by, missing=True),
        *column_sources(columns),
        span_source(width),
    ]
    wanted = view.kind.clause.query()
    yield from together(
        [
            pages(
                [portion.index.name],
                view.scope.loosely(sequence_numbers(portion), wanted),
                sources,
                _taker(view, portion, plan.floor_ms, touched),
                aggs=_LOWEST_AND_HIGHEST if columns else None,
                shard=portion.shard,
                size=min(PAGE_FIRST, view.page),
                largest=view.page,
                timeout_ms=view.timeout_ms,
            )
            for portion in plan.portions
        ]
    )
    touched.merge(width)
    return touched


def matured(view: View, touched: Touched, clock_ms: int, now_ms: int) -> Step[None]:
    """Add to `touched` the groups that can cross by time alone after `clock_ms` and up to `now_ms`."""
    delay, earliest = view.kind.delay_ms, view.kind.earliest_ms

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            touched.add(group_of(bucket, view.group_by), clock_ms + 1 - earliest, now_ms - earliest)
        return bool(view.group_by)

    sources = group_sources(view.group_by) or [time_source()]
    yield from view.buckets((clock_ms - delay + 1, now_ms - delay), (), sources, take)
    touched.merge(span_width(view))


def sequence_numbers(portion: Portion) -> Query:
    """Return the clause for the events of a portion."""
    return {"range": {"_seq_no": {"gt": portion.range.after, "lte": portion.range.upto}}}


def _taker(view: View, portion: Portion, floor_ms: int, touched: Touched) -> Callable[[list[Bucket]], bool]:
    group_by, index, width = view.group_by, portion.index, span_width(view)
    columns = len(view.kind.columns) if view.kind.remembers else 0

    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            key = bucket["key"]
            group, span = group_of(bucket, group_by), (key["b"], key["b"] + width - 1)
            if touched.note(group, span, bucket["doc_count"], index, floor_ms) and columns:
                values = tuple(key[f"c{number}"] for number in range(columns))
                touched.add_values(group, values, int(bucket["lo"]["value"]), int(bucket["hi"]["value"]))
        return True

    return take
