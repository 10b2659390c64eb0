"""Looking at the dead letters, and sending them again once their cause is mended.

Invariants: a letter is marked replayed only after its event stands whole in its index; the event takes the
place of its skeleton under the same id, so it is never there twice; replaying twice changes nothing; a letter that
cannot be stored holds up no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import ApiError, Elasticsearch, NotFoundError

from pipeline.elastic.client import reason_of, translated
from pipeline.events.values import instant_text
from pipeline.shipping.letters import INDEX, local_letters, mark_replayed

_PAGE = 200
_OF_ONE_LETTER = (400, 403, 404, 409, 413)
"""What a server answers of one document or its index: refused, closed, blocked, changed meanwhile, too large."""


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
    """What a replay did: events that stand whole now, and letters that are refused still, with one of the reasons."""

    stored: int
    refused: int
    reason: str = ""


def kept_letters(client: Elasticsearch, folder: Path, *, replayed: bool = False) -> Iterator[KeptLetter]:
    """Yield the letters of the local file in `folder` and of the index; those replayed only when asked."""
    for source in local_letters(folder, replayed=replayed):
        yield _letter(source["id"], source, "file")
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


def replay(client: Elasticsearch, folder: Path, now_ms: int) -> Replayed:
    """Send every kept letter again; each stays where it is, marked as replayed.

    Raises what a server that does not answer, or refuses these credentials, is translated to: no letter would fare
    better.
    """
    stored = refused = 0
    reason = ""
    for letter in list(kept_letters(client, folder)):
        with translated(f"replaying {letter.event_id}"):
            try:
                _restore(client, letter, now_ms)
            except ApiError as error:
                if error.status_code not in _OF_ONE_LETTER:
                    raise
                refused += 1
                reason = reason or f"{letter.event_id} to {letter.index}: {reason_of(error)}"
                continue
            stored += 1
            if letter.where == "index":
                client.update(index=INDEX, id=letter.event_id, doc={"siemlite": {"letter": {"state": "replayed"}}})
            else:
                mark_replayed(folder, letter.event_id)
    return Replayed(stored, refused, reason)


def _restore(client: Elasticsearch, letter: KeptLetter, now_ms: int) -> None:
    document = {**orjson.loads(letter.document), "event.ingested": instant_text(now_ms)}
    try:
        present = client.get(index=letter.index, id=letter.event_id)
    except NotFoundError:
        present = None
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
