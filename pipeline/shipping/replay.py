"""Looking at the dead letters, and sending them again once their cause is mended.

Invariants: a letter is marked replayed only after its event stands whole in its index; the event takes the
place of its skeleton under the same id, so it is never there twice; replaying twice changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError

from pipeline.elastic.client import translated
from pipeline.events.values import instant_text
from pipeline.shipping.letters import INDEX, local_letters

_PAGE = 200


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A letter as it is kept: `state` is `kept` or `replayed`, `where` is `index` or `file`."""

    event_id: str
    index: str
    reason: str
    kept_at: str
    state: str
    where: str
    document: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: events that stand whole now, and letters that are refused still."""

    stored: int
    refused: int


def kept_letters(client: Elasticsearch, folder: Path, *, replayed: bool = False) -> Iterator[KeptLetter]:
    """Yield the letters of the index and of the local file in `folder`; those replayed only when asked."""
    after: list[Any] | None = None
    query: dict[str, Any] = {"match_all": {}} if replayed else {"term": {"siemlite.letter.state": "kept"}}
    with translated("reading the dead letters"):
        if client.indices.exists(index=INDEX):
            client.indices.refresh(index=INDEX)
            while True:
                answer = client.search(
                    index=INDEX,
                    query=query,
                    size=_PAGE,
                    sort=[{"@timestamp": "asc"}, {"event.id": "asc"}],
                    search_after=after,
                )
                hits = answer["hits"]["hits"]
                yield from (_letter(hit["_id"], hit["_source"], "index") for hit in hits)
                if len(hits) < _PAGE:
                    break
                after = hits[-1]["sort"]
    for source in local_letters(folder):
        yield _letter(source["id"], source, "file")


def replay(client: Elasticsearch, folder: Path, now_ms: int) -> Replayed:
    """Send every kept letter again; letters of the local file stay there as a record."""
    stored = refused = 0
    for letter in list(kept_letters(client, folder)):
        with translated(f"replaying {letter.event_id}"):
            if _restore(client, letter, now_ms):
                stored += 1
                if letter.where == "index":
                    client.update(index=INDEX, id=letter.event_id, doc={"siemlite": {"letter": {"state": "replayed"}}})
            else:
                refused += 1
    return Replayed(stored, refused)


def _restore(client: Elasticsearch, letter: KeptLetter, now_ms: int) -> bool:
    document = {**orjson.loads(letter.document), "event.ingested": instant_text(now_ms)}
    try:
        present = client.get(index=letter.index, id=letter.event_id)
    except NotFoundError:
        present = None
    try:
        if present is None:
            client.create(index=letter.index, id=letter.event_id, document=document)
        elif "skeleton" in present["_source"].get("siemlite", {}):
            client.index(
                index=letter.index,
                id=letter.event_id,
                document=document,
                if_seq_no=present["_seq_no"],
                if_primary_term=present["_primary_term"],
            )
    except (BadRequestError, ConflictError):
        return False
    return True


def _letter(event_id: str, source: dict[str, Any], where: str) -> KeptLetter:
    inner = source["siemlite"]["letter"]
    return KeptLetter(
        event_id,
        inner["index"],
        source["error"]["message"],
        source["@timestamp"],
        inner["state"],
        where,
        inner["document"],
    )
