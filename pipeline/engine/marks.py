"""The marks of drills' events: read index by index, and kept for as long as an index does not change.

Invariants: a mark is verified before it is believed; what is kept of an index is all that could be searched once every
event up to its checkpoints had been made searchable; where there are more marks than are examined, those of the oldest
events are left out, and said to be.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.detection.conditions import Query
from pipeline.elastic.search import Search
from pipeline.engine.indices import Index
from pipeline.engine.protocol import VerifyMark
from pipeline.engine.queries import TIME
from pipeline.engine.steps import Step, ask
from pipeline.events.mark import MARK_FIELDS, SIGNATURE, drill_of, is_signed

EXAMINED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """An event's mark, as found: the event by id and sequence number, and the drill it names."""

    event_id: str
    seq_no: int
    drill: str


@dataclass(frozen=True, slots=True)
class IndexMarks:
    """The marks in one index: signed ones, those that are not, and which events' were not examined, if any's."""

    index: str
    signed: tuple[Mark, ...] = ()
    forged: tuple[Mark, ...] = ()
    unexamined: Query | None = None


@dataclass(slots=True)
class _Kept:
    """What is known of an index in one state: how many marks it has, and which, where they were read."""

    index: Index
    count: int
    marks: IndexMarks | None


class KnownMarks:
    """Reads the marks of indices, and keeps them; `verify` says whether a mark is signed by this installation."""

    def __init__(self, verify: VerifyMark) -> None:
        self._verify = verify
        self._kept: dict[str, _Kept] = {}

    def unknown(self, indices: Iterable[Index]) -> list[Index]:
        """Return those of `indices` that changed since their marks were counted, or of which they never were."""
        return [one for one in indices if one.name not in self._kept or self._kept[one.name].index != one]

    def of(self, indices: Sequence[Index], whole: Collection[str]) -> Step[list[IndexMarks]]:
        """Return the marks of `indices`, the latest day's first, until more than `EXAMINED_MAX` would be examined.

        `whole` names the indices of which all events can be searched: what is known of others is not kept.
        """
        unknown = self.unknown(indices)
        counts = yield from _counts([index.name for index in unknown])
        known = self._kept | {index.name: _Kept(index, counts.get(index.name, 0), None) for index in unknown}
        self._kept |= {index.name: known[index.name] for index in indices if index.name in whole}
        found: list[IndexMarks] = []
        examined = 0
        for index in sorted(indices, key=lambda one: (one.day_ms is not None, -(one.day_ms or 0), one.name)):
            own = known[index.name]
            examined += min(own.count, EXAMINED_MAX)
            if found and examined > EXAMINED_MAX:
                break
            if own.marks is None:
                own.marks = (yield from _of_one(index.name, self._verify)) if own.count else IndexMarks(index.name)
            found.append(own.marks)
        return found

    def forget_others(self, indices: Iterable[Index]) -> None:
        """Keep nothing of indices that are no longer there."""
        self._kept = {one.name: self._kept[one.name] for one in indices if one.name in self._kept}


_MARKED: Query = {"bool": {"filter": [{"exists": {"field": SIGNATURE}}, {"exists": {"field": TIME}}]}}


def _counts(names: Sequence[str]) -> Step[Mapping[str, int]]:
    """Return how many marks each of the indices `names` has that has any."""
    if not names:
        return {}
    by_index = {"terms": {"field": "_index", "size": len(names)}}
    answer = yield from ask(Search.of(names, {"size": 0, "query": _MARKED, "aggs": {"by_index": by_index}}))
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["by_index"]["buckets"]}


def _of_one(name: str, verify: VerifyMark) -> Step[IndexMarks]:
    """Return the marks of the index `name`, the latest events' where there are too many."""
    body = {
        "size": EXAMINED_MAX,
        "track_total_hits": EXAMINED_MAX + 1,
        "_source": False,
        "seq_no_primary_term": True,
        "query": _MARKED,
        "sort": [{TIME: {"order": "desc", "unmapped_type": "date", "numeric_type": "date"}}],
        "docvalue_fields": list(MARK_FIELDS),
    }
    answer = yield from ask(Search.of([name], body))
    hits = answer["hits"]["hits"]
    signed: list[Mark] = []
    forged: list[Mark] = []
    for hit in hits:
        mark = Mark(hit["_id"], int(hit["_seq_no"]), drill_of(hit))
        (signed if is_signed(hit, verify) else forged).append(mark)
    left_out: Query | None = None
    if answer["hits"]["total"]["value"] > len(hits):
        last_ms = hits[-1]["sort"][0]
        at_last = {hit["_id"] for hit in hits if hit["sort"][0] == last_ms}
        before: Query = {"range": {TIME: {"lte": last_ms, "format": "epoch_millis"}}}
        examined = these(name, [mark for mark in signed if mark.event_id in at_last])
        left_out = {"bool": {"filter": [{"term": {"_index": name}}, before], "must_not": examined}}
    return IndexMarks(name, tuple(signed), tuple(forged), left_out)


def these(index: str, marks: Iterable[Mark]) -> list[Query]:
    """Return the clause for the events of `marks`, which are in `index`; none where there are none."""
    ids = sorted(mark.event_id for mark in marks)
    return [{"bool": {"filter": [{"term": {"_index": index}}, {"ids": {"values": ids}}]}}] if ids else []
