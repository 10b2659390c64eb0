"""Arrivals that many detections ask for in one search: what arrived, by the fields that their `where`s look at.

A family is detections that group by the same fields, look at the same keyword fields, each with one condition, and
evaluate the same sequence numbers. One composite aggregation over those fields and the group's says for each
combination of values how many events arrived; each detection takes the combinations that its conditions accept.

Invariant: no arrival that a detection's own search would find is missing. An event has the combination of those of
its values that the conditions accept, because no field has two conditions. Where an event has several values of a
field under a negated condition, a detection may be given a group too many, which costs a look and changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.detection.conditions import Exists, Inverse, OneOf, Prefix, Test
from pipeline.detection.timeline import Scalar
from pipeline.detection.where import All, Clause, Field
from pipeline.engine.arrivals import Touched, sequence_numbers, span_source, span_width
from pipeline.engine.plan import Plan, Portion
from pipeline.engine.queries import GroupValues, column_sources, group_of, group_sources
from pipeline.engine.steps import PAGE_FIRST, Bucket, Step, pages, together
from pipeline.engine.view import View
from pipeline.errors import PermanentError
from pipeline.events.fields import FIELDS

_ARRIVALS_FOR_ONE = 150
"""A search of its own costs what this many arrivals cost in a common one, about."""

_FIELDS_MAX = 3

Combination = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Events of a group with one combination of values that arrived, and when they happened."""

    group: GroupValues
    first_ms: int
    events: int
    portion: Portion


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Detections whose arrivals are asked for together: their views, and their conditions on `fields`.

    `width` is that of a span, in milliseconds, and not above that of any member.
    """

    plan: Plan
    fields: tuple[str, ...]
    members: tuple[tuple[View, Mapping[str, Test]], ...]
    width: int

    def arrivals(self) -> Step[dict[str, Touched]]:
        """Return what arrived for each member, by the detection's id; see `arrivals.arrivals`."""
        view = self.members[0][0]
        found: dict[Combination, list[_Arrival]] = {}
        sources = [
            *column_sources(self.fields),
            *group_sources(view.group_by, missing=True),
            span_source(self.width),
        ]
        yield from together(
            [
                pages(
                    [portion.index.name],
                    view.scope.loosely(sequence_numbers(portion)),
                    sources,
                    self._taker(portion, found),
                    shard=portion.shard,
                    size=min(max(PAGE_FIRST, portion.range.size), view.page),
                    largest=view.page,
                    timeout_ms=view.timeout_ms,
                )
                for portion in self.plan.portions
            ]
        )
        values = [{combination[number] for combination in found} for number in range(len(self.fields))]
        return {view.detection.id: self._of(view, tests, values, found) for view, tests in self.members}

    def _taker(self, portion: Portion, found: dict[Combination, list[_Arrival]]) -> Callable[[list[Bucket]], bool]:
        names = [f"c{number}" for number in range(len(self.fields))]
        group_by = self.members[0][0].group_by

        def take(buckets: list[Bucket]) -> bool:
            for bucket in buckets:
                key = bucket["key"]
                combination = tuple([key[name] for name in names])
                arrived = found.get(combination)
                if arrived is None:
                    if not all(value is None or isinstance(value, str) for value in combination):
                        raise PermanentError(f"{portion.index.name}: a field is not mapped as a keyword")
                    arrived = found[combination] = []
                arrived.append(_Arrival(group_of(bucket, group_by), key["b"], bucket["doc_count"], portion))
            return True

        return take

    def _of(
        self,
        view: View,
        tests: Mapping[str, Test],
        values: Sequence[set[Scalar]],
        found: Mapping[Combination, Sequence[_Arrival]],
    ) -> Touched:
        """Return the arrivals that one member looks at."""
        accepted = [
            {value for value in own if tests[name].accepts(() if value is None else (value,))}
            for name, own in zip(self.fields, values, strict=True)
        ]
        touched, last, floor_ms = Touched(), self.width - 1, self.plan.floor_ms
        for combination, arrived in found.items():
            if all(value in own for value, own in zip(combination, accepted, strict=True)):
                for one in arrived:
                    span = (one.first_ms, one.first_ms + last)
                    touched.note(one.group, span, one.events, one.portion.index, floor_ms)
        touched.merge(span_width(view))
        return touched


def families(views: Sequence[tuple[View, Plan]]) -> Iterator[Family]:
    """Yield the families among detections of one world that are large enough to save something."""
    found: dict[tuple[int, tuple[str, ...], tuple[str, ...]], list[tuple[View, Plan, Mapping[str, Test]]]] = {}
    for view, plan in views:
        tests = _tests(view.kind.clause)
        if tests is not None and not view.kind.remembers:
            found.setdefault((id(plan), view.group_by, tuple(sorted(tests))), []).append((view, plan, tests))
    for (_, _, fields), members in found.items():
        plan = members[0][1]
        if len(members) > 1 and 0 < plan.arrived <= _ARRIVALS_FOR_ONE * len(members):
            width = min(span_width(view) for view, _, _ in members)
            yield Family(plan, fields, tuple((view, tests) for view, _, tests in members), width)


def _tests(clause: Clause) -> Mapping[str, Test] | None:
    """Return the conditions that make up `clause`, by field; None where it is anything else."""
    parts: list[Clause] = [clause]
    tests: dict[str, Test] = {}
    while parts:
        part = parts.pop()
        if isinstance(part, All):
            parts += part.clauses
        elif isinstance(part, Field) and part.name not in tests and _is_plain(part):
            tests[part.name] = part.test
        else:
            return None
    return tests if 0 < len(tests) <= _FIELDS_MAX else None


def _is_plain(part: Field) -> bool:
    """Return whether a condition on a keyword's text says the same of a value here as Elasticsearch does."""
    test = part.test.test if isinstance(part.test, Inverse) else part.test
    worded = isinstance(test, Prefix | Exists) or (
        isinstance(test, OneOf) and all(isinstance(value, str) for value in test.values)
    )
    return worded and FIELDS.get(part.name) == "keyword"
