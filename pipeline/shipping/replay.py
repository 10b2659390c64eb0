"""Looking at the dead letters, and sending them again once their cause is mended.

Invariants: a letter is marked replayed only after its event stands whole in its index; the event takes the
place of its skeleton under the same id, so it is never there twice; replaying twice changes nothing; a letter that
cannot be stored holds up no other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import ApiError, Elasticsearch, NotFoundError

from pipeline.elastic.client import failure, reason_of, translated
from pipeline.events.values import instant_text
from pipeline.shipping.letters import INDEX, local_letters, mark_replayed

_PAGE = 200
_GROUP_BYTES = 4 * 1024 * 1024
_TOO_LARGE = 413
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
        try:
            client.indices.refresh(index=INDEX)
        except NotFoundError:
            return
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


def replay(client: Elasticsearch, folder: Path, now_ms: int, progress: Callable[[int], None] | None = None) -> Replayed:
    """Send every kept letter again; each stays where it is, marked as replayed. `progress` is told how many were tried.

    Raises what a server that does not answer, or refuses these credentials, is translated to: no letter would fare
    better.
    """
    total = Replayed(0, 0)
    with translated("replaying dead letters"):
        for letters in _groups(kept_letters(client, folder)):
            found = _tried(client, folder, letters, now_ms)
            total = Replayed(total.stored + found.stored, total.refused + found.refused, total.reason or found.reason)
            if progress is not None:
                progress(total.stored + total.refused)
    return total


def _groups(letters: Iterable[KeptLetter]) -> Iterator[list[KeptLetter]]:
    """Yield the letters in groups that make one request each."""
    group: list[KeptLetter] = []
    size = 0
    ids: set[str] = set()
    for letter in letters:
        # One may be kept in the file and in the index as well: the second finds what became of the first.
        full = len(group) >= _PAGE or size + len(letter.document) > _GROUP_BYTES or letter.event_id in ids
        if group and full:
            yield group
            group, size = [], 0
            ids.clear()
        group.append(letter)
        ids.add(letter.event_id)
        size += len(letter.document)
    if group:
        yield group


def _tried(client: Elasticsearch, folder: Path, letters: list[KeptLetter], now_ms: int) -> Replayed:
    """Do as `_restored` does, in smaller groups where the request is too large."""
    try:
        return _restored(client, folder, letters, now_ms)
    except ApiError as error:
        if error.status_code != _TOO_LARGE:
            raise
        if len(letters) == 1:
            return Replayed(0, 1, f"{letters[0].event_id} to {letters[0].index}: {reason_of(error)} (413)")
    half = len(letters) // 2
    first = _tried(client, folder, letters[:half], now_ms)
    second = _tried(client, folder, letters[half:], now_ms)
    return Replayed(first.stored + second.stored, first.refused + second.refused, first.reason or second.reason)


def _restored(client: Elasticsearch, folder: Path, letters: list[KeptLetter], now_ms: int) -> Replayed:
    """Put the events of `letters` in their places, and mark those that stand there now."""
    present = client.mget(
        docs=[{"_index": one.index, "_id": one.event_id} for one in letters], source_includes=["siemlite.skeleton"]
    )["docs"]
    operations: list[Mapping[str, Any]] = []
    sent: list[KeptLetter] = []
    whole: list[KeptLetter] = []
    for letter, found in zip(letters, present, strict=True):
        action = _action(letter, found)
        if action is None:
            whole.append(letter)
            continue
        operations += (action, {**orjson.loads(letter.document), "event.ingested": instant_text(now_ms)})
        sent.append(letter)
    items = client.bulk(operations=operations)["items"] if operations else []
    reason, refused = "", 0
    later: tuple[int, str] | None = None
    for letter, item in zip(sent, items, strict=True):
        (result,) = item.values()
        status = int(result["status"])
        if status < 300:
            whole.append(letter)
            continue
        why = " ".join(str((result.get("error") or {}).get("reason") or status)[:300].split())
        if status not in _OF_ONE_LETTER:
            later = later or (status, why)
            continue
        refused += 1
        reason = reason or f"{letter.event_id} to {letter.index}: {why}"
    _mark(client, folder, whole)
    if later is not None:
        raise failure(f"replaying into {sent[0].index}", *later)
    return Replayed(len(whole), refused, reason)


def _action(letter: KeptLetter, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what puts the event in its place: beside nothing, or in its skeleton's; None where it stands whole."""
    place: dict[str, Any] = {"_index": letter.index, "_id": letter.event_id}
    if not found.get("found"):
        return {"create": place}
    if "skeleton" not in (found.get("_source") or {}).get("siemlite", {}):
        return None
    return {"index": {**place, "if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}}


def _mark(client: Elasticsearch, folder: Path, letters: Sequence[KeptLetter]) -> None:
    local = [letter.event_id for letter in letters if letter.where == "file"]
    if local:
        mark_replayed(folder, local)
    lines: list[Mapping[str, Any]] = []
    for letter in letters:
        if letter.where == "index":
            lines += (
                {"update": {"_index": INDEX, "_id": letter.event_id}},
                {"doc": {"siemlite": {"letter": {"state": "replayed"}}}},
            )
    if lines:
        for item in client.bulk(operations=lines)["items"]:
            result = item["update"]
            if int(result["status"]) >= 300:
                why = str((result.get("error") or {}).get("reason"))
                raise failure("marking a dead letter as replayed", int(result["status"]), why)


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
