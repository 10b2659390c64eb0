"""Where each detection stands, kept in Elasticsearch.

Invariants: a checkpoint is stored only in place of the one that it was made from, so that two schedulers that
both believe they lead cannot move one back over the other's; one that cannot be read is an error of its
detection and never a fresh start, because that would skip what arrived since.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
from pipeline.engine.checkpoint import Checkpoint
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


class Checkpoints:
    """Loads and stores checkpoints."""

    def __init__(self, client: Elasticsearch, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def load(self, detection_ids: Iterable[str]) -> tuple[dict[str, Kept], dict[str, PermanentError]]:
        """Return the checkpoints that can be read, and the errors of those that cannot.

        A detection that was never evaluated has an empty checkpoint. Raises `RetryableError`.
        """
        names = list(detection_ids)
        documents = read_many(self._client, CONTROL_INDEX, [_PREFIX + name for name in names])
        kept: dict[str, Kept] = {}
        errors: dict[str, PermanentError] = {}
        for name in names:
            document = documents.get(_PREFIX + name)
            if document is None:
                kept[name] = Kept(name, Checkpoint())
                continue
            try:
                ledger = Ledger.from_json(document.source.get("ledger"))
                kept[name] = Kept(name, _checkpoint(document), document.version, ledger)
            except PermanentError as error:
                errors[name] = PermanentError(
                    f"{error}; delete the document {document.id} of {CONTROL_INDEX} to start afresh"
                )
        return kept, errors

    def store(self, moves: Sequence[tuple[Kept, Checkpoint]]) -> tuple[Kept | None, ...]:
        """Store each checkpoint in place of the kept one, with the ledger that stands beside that.

        `None` stands where another scheduler was faster.
        """
        writes = [self._write(kept, checkpoint) for kept, checkpoint in moves]
        results = write_many(self._client, CONTROL_INDEX, writes)
        return tuple(_stored(*move, result) for move, result in zip(moves, results, strict=True))

    def probe(self) -> None:
        """Raise `RetryableError` where Elasticsearch as a whole does not answer."""
        read(self._client, CONTROL_INDEX, _PROBE)

    def _write(self, kept: Kept, checkpoint: Checkpoint) -> Write:
        document_id = _PREFIX + kept.detection_id
        source = {
            "type": "checkpoint",
            "detection": kept.detection_id,
            "updated": instant_text(self._clock.now_ms()),
            "checkpoint": checkpoint.to_json(),
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


def _checkpoint(document: Document) -> Checkpoint:
    try:
        stored = document.source["checkpoint"]
    except KeyError:
        raise PermanentError("a stored checkpoint is missing from its document") from None
    return Checkpoint.from_json(stored)
