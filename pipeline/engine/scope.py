"""Two worlds: what is real, and each drill.

Invariants: an event whose mark is signed by this installation is no part of any real evaluation, and of its
own drill's only; any other mark changes nothing. A mark is verified before it is believed: an event that
arrives with one after the marks were read is left out until a later pass has verified it. Where there are
more marks than are examined, those beyond count as real.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.detection.conditions import Query
from pipeline.elastic.search import Search
from pipeline.engine.protocol import VerifyMark
from pipeline.engine.queries import TIME
from pipeline.engine.steps import Step, ask
from pipeline.events.mark import MARK_FIELDS, SIGNATURE, drill_of, is_signed

EXAMINED_MAX = 10_000
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
class Mark:
    """An event's mark, as found: the event by index, id and sequence number, and the drill it names."""

    index: str
    event_id: str
    seq_no: int
    drill: str


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks in some indices: signed ones, those that are not, and which events' were not examined, if any's."""

    valid: tuple[Mark, ...] = ()
    forged: tuple[Mark, ...] = ()
    unexamined: Query | None = None

    def real(self) -> Scope:
        """Return the real world."""
        if len(self.forged) <= _LISTED_MAX:
            unmarked: Query = {"bool": {"must_not": [{"exists": {"field": SIGNATURE}}]}}
            marked = [*_these(self.forged), *([] if self.unexamined is None else [self.unexamined])]
            if not marked:
                return Scope((unmarked,), idle=not self.valid)
            return Scope(({"bool": {"should": [unmarked, *marked], "minimum_should_match": 1}},))
        if not self.valid:
            return Scope()
        return Scope(({"bool": {"must_not": _these(self.valid)}},))

    def drill(self, drill: str) -> Scope:
        """Return the world of `drill`; it is empty where no mark of it is valid."""
        own = [mark for mark in self.valid if mark.drill == drill]
        if not own:
            return Scope(({"match_none": {}},), drill)
        return Scope(({"bool": {"should": _these(own), "minimum_should_match": 1}},), drill)


def read_marks(indices: Sequence[str], verify: VerifyMark) -> Step[Marks]:
    """Return the marks of the events in `indices`, the latest events' where there are too many."""
    if not indices:
        return Marks()
    body = {
        "size": EXAMINED_MAX,
        "track_total_hits": EXAMINED_MAX + 1,
        "_source": False,
        "seq_no_primary_term": True,
        "query": {"bool": {"filter": [{"exists": {"field": SIGNATURE}}, {"exists": {"field": TIME}}]}},
        "sort": [{TIME: {"order": "desc", "unmapped_type": "date", "numeric_type": "date"}}],
        "docvalue_fields": list(MARK_FIELDS),
    }
    answer = yield from ask(Search.of(indices, body))
    valid: list[Mark] = []
    forged: list[Mark] = []
    hits = answer["hits"]["hits"]
    for hit in hits:
        mark = Mark(hit["_index"], hit["_id"], int(hit["_seq_no"]), drill_of(hit))
        (valid if is_signed(hit, verify) else forged).append(mark)
    unexamined: Query | None = None
    if answer["hits"]["total"]["value"] > len(hits):  # a canary makes as many in a week
        last_ms = hits[-1]["sort"][0]
        examined = {(hit["_index"], hit["_id"]) for hit in hits if hit["sort"][0] == last_ms}
        signed = [mark for mark in valid if (mark.index, mark.event_id) in examined]
        before: Query = {"range": {TIME: {"lte": last_ms, "format": "epoch_millis"}}}
        unexamined = {"bool": {"filter": [before], "must_not": _these(signed)}}
    return Marks(tuple(valid), tuple(forged), unexamined)


def _these(marks: Iterable[Mark]) -> list[Query]:
    by_index: dict[str, list[str]] = {}
    for mark in marks:
        by_index.setdefault(mark.index, []).append(mark.event_id)
    return [
        {"bool": {"filter": [{"term": {"_index": index}}, {"ids": {"values": sorted(ids)}}]}}
        for index, ids in sorted(by_index.items())
    ]


def world(marks: Marks, drill: str | None) -> Scope:
    """Return the world of `drill`, or the real one."""
    return marks.real() if drill is None else marks.drill(drill)


WorkRanges = Mapping[str, Sequence[tuple[int, int]]]


def drills_in(marks: Marks, arrived: WorkRanges) -> tuple[str, ...]:
    """Return the drills with a signed event among the sequence numbers `(after, upto]` of `arrived`, by index."""
    found = {
        mark.drill
        for mark in marks.valid
        if any(after < mark.seq_no <= upto for after, upto in arrived.get(mark.index, ()))
    }
    return tuple(sorted(found))
