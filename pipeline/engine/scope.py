"""Two worlds: what is real, and each drill.

Invariants: an event whose mark is signed by this installation is no part of any real evaluation, and of its
own drill's only; any other mark changes nothing. A mark is verified before it is believed: an event that
arrives with one after the marks were read is left out until a later pass has verified it. Events whose marks were
not examined count as real.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.detection.conditions import Query
from pipeline.engine.marks import IndexMarks, these
from pipeline.events.mark import SIGNATURE

_LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events an evaluation sees, as query clauses; `drill` names its drill, None is the real world.

    `idle` says that the clauses leave out nothing that was there when the marks were read.
    """

    filters: tuple[Query, ...] = field(default=(), hash=False)
    drill: str | None = None
    idle: bool = False

    def query(self, *clauses: Query) -> Query:
        """Return the query for events of this world that fit all `clauses`."""
        return {"bool": {"filter": [*clauses, *self.filters]}}

    def loosely(self, *clauses: Query) -> Query:
        """Return the same, which may also find what was marked since; it costs the server less where `idle`."""
        return {"bool": {"filter": list(clauses)}} if self.idle else self.query(*clauses)


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks in some indices, and the names of those whose marks were not examined."""

    examined: tuple[IndexMarks, ...] = ()
    unexamined: tuple[str, ...] = ()

    def real(self) -> Scope:
        """Return the real world."""
        if sum(len(own.forged) for own in self.examined) <= _LISTED_MAX:
            unmarked: Query = {"bool": {"must_not": [{"exists": {"field": SIGNATURE}}]}}
            marked = [clause for own in self.examined for clause in these(own.index, own.forged)]
            marked += [own.unexamined for own in self.examined if own.unexamined is not None]
            if self.unexamined:
                marked.append({"terms": {"_index": list(self.unexamined)}})
            if not marked:
                return Scope((unmarked,), idle=not any(own.signed for own in self.examined))
            return Scope(({"bool": {"should": [unmarked, *marked], "minimum_should_match": 1}},))
        signed = [clause for own in self.examined for clause in these(own.index, own.signed)]
        return Scope(({"bool": {"must_not": signed}},)) if signed else Scope()

    def drill(self, drill: str) -> Scope:
        """Return the world of `drill`; it is empty where no mark of it is signed."""
        signed = [
            clause
            for own in self.examined
            for clause in these(own.index, [mark for mark in own.signed if mark.drill == drill])
        ]
        if not signed:
            return Scope(({"match_none": {}},), drill)
        return Scope(({"bool": {"should": signed, "minimum_should_match": 1}},), drill)

    def drills(self) -> set[str]:
        """Return the drills of all signed events."""
        return {mark.drill for own in self.examined for mark in own.signed}


def world(marks: Marks, drill: str | None) -> Scope:
    """Return the world of `drill`, or the real one."""
    return marks.real() if drill is None else marks.drill(drill)


WorkRanges = Mapping[str, Sequence[tuple[int, int]]]


def drills_in(marks: Marks, arrived: WorkRanges) -> tuple[str, ...]:
    """Return the drills with a signed event among the sequence numbers `(after, upto]` of `arrived`, by index."""
    found = {
        mark.drill
        for own in marks.examined
        if own.index in arrived
        for mark in own.signed
        if any(after < mark.seq_no <= upto for after, upto in arrived[own.index])
    }
    return tuple(sorted(found))
