"""Where each detection stands, kept in Elasticsearch.

Invariants: a checkpoint is stored only in place of the one that it was made from, so that two schedulers that
both believe they lead cannot move one back over the other's; one that cannot be read is an error of its
detection and never a fresh start, because that would skip what arrived since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.clock import Clock
from pipeline.elastic.compare_and_set import (
    CONTROL_INDEX,
    Create,
    Document,
    Outcome,
    Replace,
    Result,
    Version,
    Write,
    read,
    read_many,
    write_many,
)
from pipeline.engine.checkpoint import Checkpoint, Position, ShardId, positions_to_json
from pipeline.errors import PermanentError
from pipeline.events.values import instant_text
from pipeline.scheduler.ledger import Ledger

_PREFIX = "checkpoint:"
_PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Kept:
    """A detection's checkpoint and its coverage ledger as stored; one that was never stored has no `version`."""

    detection_id: str
    checkpoint: Checkpoint
    version: Version | None = None
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True, slots=True)
class _Converted:
    """Positions, and the JSON that they are."""

    positions: Mapping[ShardId, Position]
    shards: Mapping[str, Any]


class Checkpoints:
    """Loads and stores checkpoints.

    Most detections stand at the same positions, of which there is one for each shard of each day: those are converted
    once, and one object.
    """

    def __init__(self, client: Elasticsearch, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: list[_Converted] = []

    def load(self, detection_ids: Iterable[str]) -> tuple[dict[str, Kept], dict[str, PermanentError]]:
        """Return the checkpoints that can be read, and the errors of those that cannot.

        A detection that was never evaluated has an empty checkpoint. Raises `RetryableError`.
        """
        names = list(detection_ids)
        documents = read_many(self._client, CONTROL_INDEX, [_PREFIX + name for name in names])
        kept: dict[str, Kept] = {}
        errors: dict[str, PermanentError] = {}
        known: list[_Converted] = []
        for name in names:
            document = documents.get(_PREFIX + name)
            if document is None:
                kept[name] = Kept(name, Checkpoint())
                continue
            try:
                ledger = Ledger.from_json(document.source.get("ledger"))
                kept[name] = Kept(name, self._checkpoint(document, known), document.version, ledger)
            except PermanentError as error:
                errors[name] = PermanentError(
                    f"{error}; delete the document {document.id} of {CONTROL_INDEX} to start afresh"
                )
        self._known = known
        return kept, errors

    def _checkpoint(self, document: Document, known: list[_Converted]) -> Checkpoint:
        """Return the checkpoint of `document`; add to `known` what it was converted from, and to."""
        try:
            stored = document.source["checkpoint"]
            shards = stored.get("shards")
        except (KeyError, AttributeError):
            raise PermanentError("a stored checkpoint is missing from its document") from None
        same = next((one for one in known if one.shards == shards), None)
        before = same or next((one for one in self._known if one.shards == shards), None)
        checkpoint = Checkpoint.from_json(stored, None if before is None else before.positions)
        if same is None:
            known.append(_Converted(checkpoint.positions, shards))
        return checkpoint

    def store(self, moves: Sequence[tuple[Kept, Checkpoint]]) -> tuple[Kept | None, ...]:
        """Store each checkpoint in place of the kept one, with the ledger that stands beside that.

        `None` stands where another scheduler was faster.
        """
        converted: dict[int, Mapping[str, Any]] = {}
        writes = [self._write(kept, checkpoint, converted) for kept, checkpoint in moves]
        results = write_many(self._client, CONTROL_INDEX, writes)
        return tuple(_stored(*move, result) for move, result in zip(moves, results, strict=True))

    def probe(self) -> None:
        """Raise `RetryableError` where Elasticsearch as a whole does not answer."""
        read(self._client, CONTROL_INDEX, _PROBE)

    def _write(self, kept: Kept, checkpoint: Checkpoint, converted: dict[int, Mapping[str, Any]]) -> Write:
        """Return what stores `checkpoint`; `converted` are positions so far, by the object's identity."""
        document_id = _PREFIX + kept.detection_id
        identity = id(checkpoint.positions)
        if identity not in converted:
            converted[identity] = positions_to_json(checkpoint.positions)
        source = {
            "type": "checkpoint",
            "detection": kept.detection_id,
            "updated": instant_text(self._clock.now_ms()),
            "checkpoint": checkpoint.to_json(converted[identity]),
            "ledger": kept.ledger.to_json(),
        }
        if kept.version is None:
            return Create(document_id, source)
        return Replace(document_id, kept.version, source)


def _stored(kept: Kept, checkpoint: Checkpoint, result: Result) -> Kept | None:
    if result.outcome is Outcome.REFUSED:
        raise PermanentError(f"Elasticsearch refuses the checkpoint of {kept.detection_id}: {result.reason}")
    return (
        None if result.outcome is Outcome.CONFLICT else Kept(kept.detection_id, checkpoint, result.version, kept.ledger)
    )
