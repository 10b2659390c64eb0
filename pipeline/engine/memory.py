"""What values groups have had: an index of its own, so that a pass does not read a month.

A document says that a combination of values was seen in a group at `last_ms`. Invariants: that is a fact about
an event that was evaluated, and no more; a combination without a document, or whose document does not prove it
known, is looked for in the events themselves. So a memory that is lost, late, stale or damaged, or that cannot be
read or written, costs time and never an alert, and one older than the events' retention still knows what it saw.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from elasticsearch import BadRequestError, Elasticsearch

from pipeline.detection.timeline import Scalar
from pipeline.elastic.client import part, translated
from pipeline.elastic.search import Search
from pipeline.engine.arrivals import Touched
from pipeline.engine.queries import GroupValues
from pipeline.engine.result import Learned
from pipeline.engine.steps import Step
from pipeline.engine.view import View
from pipeline.errors import RetryableError, SiemliteError
from pipeline.told import Told

_log = logging.getLogger(__name__)
_unreadable = Told()
"""For the whole process: a view lives no longer than a pass."""

INDEX = "security-seen-v1"
_IDS_PER_SEARCH = 5_000
_AGAIN_MS = 60_000
"""How long nothing is written after a failure, so that an index which does not answer holds up no passes."""

_PURGE_EVERY_MS = 6 * 3_600_000
_PURGE_SIZE = 10_000
_PURGE_ROUNDS = 50
_STALE_SHARE = 50
"""A document is written again when it is older than this part of the kind's time: one in fifty."""


@dataclass(slots=True)
class Recalled:
    """What of a pass's arrivals is not known to have been there, and what is to be remembered."""

    unknown: set[GroupValues] = field(default_factory=set)
    learned: list[Learned] = field(default_factory=list)


def recall(view: View, touched: Touched) -> Step[Recalled]:
    """Return which touched groups the memory does not prove to be without a crossing.

    It proves that an arrival with known values makes none itself. Where the kind looks ahead (`influence_ms`), an
    event that came earlier and lies later may cross because the group has an event shortly before it now. It had
    one all the time if it lies within the kind's time of the one that is remembered; beyond that there must be none.
    """
    kind = view.kind
    over_ms = kind.evidence_ms + 1
    end_ms = view.indices.end_ms if kind.influence_ms else 0
    seed = _seed(view)
    names = {
        _name(seed, group, values): (group, span)
        for group, found in touched.values.items()
        for values, span in found.items()
    }
    known = yield from _look_up(view, list(names))
    result = Recalled()
    for name, (group, (first_ms, last_ms)) in names.items():
        seen_ms = known.get(name)
        proved = seen_ms is not None and seen_ms < first_ms and last_ms - seen_ms < over_ms
        if not proved or seen_ms is None or end_ms is None or end_ms > seen_ms + over_ms:
            result.unknown.add(group)
        if seen_ms is None or last_ms - seen_ms > over_ms // _STALE_SHARE:
            result.learned.append(Learned(name, last_ms, last_ms + over_ms))
    return result


def _look_up(view: View, names: Sequence[str]) -> Step[Mapping[str, int]]:
    known: dict[str, int] = {}
    for start in range(0, len(names), _IDS_PER_SEARCH):
        part = names[start : start + _IDS_PER_SEARCH]
        body = {"size": len(part), "query": {"ids": {"values": part}}, "_source": ["last_ms"]}
        try:
            (answer,) = yield [Search.of([f"{INDEX}*"], body, weight=len(part), timeout_ms=view.timeout_ms)]
        except SiemliteError as error:
            if _unreadable.fresh(str(error)):
                _log.warning("what values were seen cannot be read, and is looked for in the events: %s", error)
            return {}
        _unreadable.over()
        for hit in answer["hits"]["hits"]:
            seen_ms = hit["_source"].get("last_ms")
            if type(seen_ms) is int:
                known[hit["_id"]] = seen_ms
    return known


def _seed(view: View) -> bytes:
    """Return what tells a detection's memory from others', and from its own before its definition changed."""
    kind = view.kind
    return orjson.dumps([view.detection.id, kind.clause.query(), list(kind.group), list(kind.columns)])


def _name(seed: bytes, group: GroupValues, values: tuple[Scalar, ...]) -> str:
    return hashlib.sha256(seed + orjson.dumps([group, values])).hexdigest()[:40]


class MemoryWriter:
    """Writes what was learned."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self._ready = False
        self._again_ms = 0
        self._purged_ms = 0
        self._told = Told()

    def remember(self, learned: Sequence[Learned], now_ms: int) -> None:
        """Write `learned`, where that can be done."""
        if not learned or now_ms < self._again_ms:
            return
        try:
            self._write(learned)
            if now_ms - self._purged_ms > _PURGE_EVERY_MS:
                self._purge(now_ms)
                self._purged_ms = now_ms
            self._told.over()
        except SiemliteError as error:
            if self._told.fresh(str(error)):
                _log.warning("%s; see the index %s", error, INDEX)
            self._again_ms = now_ms + _AGAIN_MS

    def _write(self, learned: Sequence[Learned]) -> None:
        self._make_ready()
        for lines in _bulks(learned):
            what = "remembering what values were seen"
            with translated(what):
                answer = self._client.bulk(operations=lines, timeout="5s")
            if part(what, answer, "errors"):
                refused = next(item["index"]["error"] for item in answer["items"] if "error" in item["index"])
                self._ready = False
                raise RetryableError(f"{what}: {refused.get('reason', refused)}")

    def _make_ready(self) -> None:
        if self._ready:
            return
        with translated("making the index of values seen"):
            if not self._client.indices.exists(index=INDEX):
                try:
                    self._client.indices.create(
                        index=INDEX,
                        settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
                        mappings={
                            "dynamic": False,
                            "properties": {"last_ms": {"type": "long"}, "until_ms": {"type": "long"}},
                        },
                    )
                except BadRequestError as error:
                    if error.error != "resource_already_exists_exception":
                        raise
        self._ready = True

    def _purge(self, now_ms: int) -> None:
        """Forget what is too old to prove anything, as far as some rounds go."""
        old_enough = {"range": {"until_ms": {"lt": now_ms - 86_400_000}}}
        for _ in range(_PURGE_ROUNDS):
            what = "forgetting values seen long ago"
            with translated(what):
                answer = self._client.search(index=INDEX, size=_PURGE_SIZE, source=False, query=old_enough)
                old = [hit["_id"] for hit in part(what, answer, "hits", "hits")]
                if old:
                    deletes = [{"delete": {"_index": INDEX, "_id": name}} for name in old]
                    self._client.bulk(operations=deletes, refresh=len(old) == _PURGE_SIZE)
            if len(old) < _PURGE_SIZE:
                return


def _bulks(learned: Sequence[Learned]) -> Iterator[list[Mapping[str, object]]]:
    for start in range(0, len(learned), 5_000):
        lines: list[Mapping[str, object]] = []
        for one in learned[start : start + 5_000]:
            lines.append({"index": {"_index": INDEX, "_id": one.name}})
            lines.append({"last_ms": one.last_ms, "until_ms": one.until_ms})
        yield lines
