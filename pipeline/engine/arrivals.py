"""Which groups received events, and when those events happened.

Invariant: every event of the step that a detection looks at lies in a span of its group. A span is as
narrow as its arrivals allow, so that one late event does not have a day read between it and the present.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.detection.detection import Detection
from pipeline.detection.where import Query
from pipeline.engine.plan import Plan, Portion
from pipeline.engine.queries import LOWEST_AND_HIGHEST, TIME, GroupValues, group_of, group_sources
from pipeline.engine.steps import Bucket, Step, pages, together
from pipeline.engine.view import View

_SPAN_MIN_MS = 1_000
_SPAN_MAX_MS = 900_000


@dataclass(slots=True)
class Touched:
    """The groups that received events, with the spans of those events, in time order; and what was left out."""

    spans: dict[GroupValues, list[tuple[int, int]]] = field(default_factory=dict)
    too_late: int = 0
    misfiled: int = 0

    def add(self, group: GroupValues, first_ms: int, last_ms: int) -> None:
        """Add events of `group` from `first_ms` to `last_ms`."""
        self.spans.setdefault(group, []).append((first_ms, last_ms))

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


def span_width(detection: Detection) -> int:
    """Return the width in milliseconds within which a detection's arrivals become one span."""
    reach = detection.kind.evidence_ms + detection.kind.influence_ms
    width = _SPAN_MIN_MS
    while width * 4 <= min(reach // 16, _SPAN_MAX_MS):
        width *= 4
    return width


def arrivals(view: View, plan: Plan) -> Step[Touched]:
    """Return the groups that received events of the view's detection in the step `plan`."""
    touched = Touched()
    width = span_width(view.detection)
    sources = [
        *group_sources(view.group_by),
        {"b": {"date_histogram": {"field": TIME, "fixed_interval": f"{width}ms"}}},
    ]
    wanted = view.kind.clause.query()
    yield from together(
        [
            pages(
                [portion.index.name],
                view.scope.query(sequence_numbers(portion), wanted),
                sources,
                _taker(view.group_by, portion, plan.floor_ms, touched),
                aggs=LOWEST_AND_HIGHEST,
                shard=portion.shard,
                timeout_ms=view.timeout_ms,
            )
            for portion in plan.portions
        ]
    )
    touched.merge(width)
    return touched


def sequence_numbers(portion: Portion) -> Query:
    """Return the clause for the events of a portion."""
    return {"range": {"_seq_no": {"gt": portion.range.after, "lte": portion.range.upto}}}


def _taker(
    group_by: Sequence[str], portion: Portion, floor_ms: int, touched: Touched
) -> Callable[[list[Bucket]], bool]:
    def take(buckets: list[Bucket]) -> bool:
        for bucket in buckets:
            first, last = int(bucket["lo"]["value"]), int(bucket["hi"]["value"])
            if last < floor_ms:
                touched.too_late += bucket["doc_count"]
                continue
            if not portion.index.holds(first, last):
                touched.misfiled += bucket["doc_count"]
            touched.add(group_of(bucket, group_by), first, last)
        return True

    return take
