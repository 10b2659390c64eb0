"""Reading and writing single documents so that no writer undoes another's work.

Invariants: a document is created only where none is (`op_type=create`) and replaced only in the version that
was read (`if_seq_no`, `if_primary_term`); who loses such a race is told so and nothing is written; reads are
by id and therefore see every write, without a refresh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from pipeline.elastic.client import RETRYABLE_STATUS, ForbiddenError, TooLargeError, failure, one_line, part, translated
from pipeline.errors import ConfigurationError, RetryableError

Source = Mapping[str, Any]

CONTROL_TEMPLATE = "security-control"
CONTROL_INDEX = f"{CONTROL_TEMPLATE}-v1"
"""Where what must outlive a process is kept: checkpoints, the scheduler's lease, silences."""

BATCH = 500
"""Documents in one request."""


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a document was read."""

    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read."""

    id: str
    version: Version
    source: Source


@dataclass(frozen=True, slots=True)
class Create:
    """Write `source` as a new document."""

    id: str
    source: Source


@dataclass(frozen=True, slots=True)
class Merge:
    """Merge `changes` into the document read as `version`: objects merge, lists and values replace."""

    id: str
    version: Version
    changes: Source


@dataclass(frozen=True, slots=True)
class Replace:
    """Write `source` in place of the document read as `version`."""

    id: str
    version: Version
    source: Source


Write = Create | Merge | Replace


class Outcome(Enum):
    """What became of a write."""

    WRITTEN = "written"
    CONFLICT = "conflict"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one write, and why where it was refused."""

    outcome: Outcome
    reason: str = ""
    version: Version | None = None


def require_template(client: Elasticsearch, name: str) -> None:
    """Raise `ConfigurationError` unless the index template `name` is installed.

    Without it a first write would make an index whose mapping Elasticsearch guesses. Who may not look is
    trusted to have been set up.
    """
    try:
        with translated(f"looking for the index template {name}"):
            there = bool(client.indices.exists_index_template(name=name))
    except ForbiddenError:
        return
    if not there:
        raise ConfigurationError(f"the index template {name} is missing in Elasticsearch; run `siemlite setup`")


def read(client: Elasticsearch, index: str, document_id: str) -> Document | None:
    """Return the document, or `None` where it or its index is not there."""
    with translated(f"reading {index}"):
        try:
            answer = client.get(index=index, id=document_id)
        except NotFoundError:
            return None
    return _document(index, answer)


def read_many(
    client: Elasticsearch, index: str, ids: Sequence[str], *, without: Sequence[str] = ()
) -> dict[str, Document]:
    """Return those of the documents `ids` that are there, without the fields `without`."""
    found: dict[str, Document] = {}
    for start in range(0, len(ids), BATCH):
        with translated(f"reading {index}"):
            answer = client.mget(
                index=index,
                ids=list(ids[start : start + BATCH]),
                source_excludes=list(without) or None,
            )
        for hit in part(f"reading {index}", answer, "docs"):
            if _is_there(index, hit):
                document = _document(index, hit)
                found[document.id] = document
    return found


def create(client: Elasticsearch, index: str, document_id: str, source: Source) -> Version | None:
    """Write a new document; return `None` where one with this id is there already."""
    with translated(f"writing {index}"):
        try:
            answer = client.create(index=index, id=document_id, document=source)
        except ConflictError:
            return None
    return _version(index, answer)


def replace(client: Elasticsearch, index: str, document_id: str, version: Version, source: Source) -> Version | None:
    """Write `source` in place of `version`; return `None` where somebody else has written since."""
    with translated(f"writing {index}"):
        try:
            answer = client.index(
                index=index,
                id=document_id,
                document=source,
                if_seq_no=version.seq_no,
                if_primary_term=version.primary_term,
            )
        except ConflictError:
            return None
    return _version(index, answer)


def write_many(
    client: Elasticsearch, index: str, writes: Sequence[Write], *, refresh: bool = False
) -> tuple[Result, ...]:
    """Make `writes`, each on its own; return the outcomes in their order.

    Raises `RetryableError` where any of them could neither be made nor be decided; then each may have been.
    """
    results: list[Result] = []
    for start in range(0, len(writes), BATCH):
        results.extend(_write_batch(client, index, writes[start : start + BATCH], refresh))
    return tuple(results)


def _write_batch(client: Elasticsearch, index: str, writes: Sequence[Write], refresh: bool) -> Sequence[Result]:
    operations: list[Source] = []
    for write in writes:
        if isinstance(write, Create):
            operations += [{"create": {"_index": index, "_id": write.id}}, write.source]
            continue
        target = {
            "_index": index,
            "_id": write.id,
            "if_seq_no": write.version.seq_no,
            "if_primary_term": write.version.primary_term,
        }
        if isinstance(write, Merge):
            operations += [{"update": target}, {"doc": write.changes}]
        else:
            operations += [{"index": target}, write.source]
    try:
        with translated(f"writing {index}"):
            answer = client.bulk(operations=operations, refresh=refresh)
    except TooLargeError:
        if len(writes) == 1:
            raise
        half = len(writes) // 2
        return [
            result
            for part_of in (writes[:half], writes[half:])
            for result in _write_batch(client, index, part_of, refresh)
        ]
    items = part(f"writing {index}", answer, "items")
    if len(items) != len(writes):
        raise RetryableError(f"writing {index}: the answer is not one for each document")
    return [_result(index, next(iter(item.values()), {})) for item in items]


def _result(index: str, item: Source) -> Result:
    status = int(part(f"writing {index}", item, "status"))
    if status < 300:
        return Result(Outcome.WRITTEN, version=_version(index, item))
    if status in (404, 409):
        return Result(Outcome.CONFLICT)
    error = item.get("error") or {}
    cause = error.get("caused_by") or {}
    reason = one_line(f"{error.get('reason', '')} {cause.get('reason', '')}")
    if status in RETRYABLE_STATUS:
        raise RetryableError(f"writing {index}: {status} {reason}")
    if status in (401, 403):
        raise failure(f"writing {index}", status, reason)
    return Result(Outcome.REFUSED, reason)


def _is_there(index: str, hit: Source) -> bool:
    """Return whether a document was found. Raises `RetryableError` where its shard could not be asked."""
    error = hit.get("error")
    if error is None:
        return bool(part(f"reading {index}", hit, "found"))
    if part(f"reading {index}", error, "type") == "index_not_found_exception":
        return False
    raise RetryableError(f"reading {index}: {error.get('reason') or error['type']}")


def _version(index: str, answer: object) -> Version:
    seq_no, term = (part(f"asking {index}", answer, name) for name in ("_seq_no", "_primary_term"))
    return Version(seq_no, term)


def _document(index: str, hit: object) -> Document:
    identity, source = (part(f"reading {index}", hit, name) for name in ("_id", "_source"))
    return Document(identity, _version(index, hit), source)
