"""What the alerts ask the engine, in the engine's words."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Crossing
from pipeline.detection.where import all_of, raw
from pipeline.elastic.compare_and_set import Source
from pipeline.engine.protocol import Evaluator
from pipeline.engine.result import Wanted
from pipeline.errors import RetryableError


class EngineEvidence:
    """Implements `EvidenceSource` by the engine."""

    def __init__(self, engine: Evaluator) -> None:
        self._engine = engine

    def counts(self, detection: Detection, wanted: Sequence[Wanted]) -> Sequence[int]:
        """See `EvidenceSource.counts`."""
        return [found.count for found in self._engine.evidence(detection, wanted)]

    def samples(self, detection: Detection, wanted: Sequence[Wanted], size: int) -> Sequence[Sequence[Source]]:
        """See `EvidenceSource.samples`. Each has its index and id beside its document."""
        return [
            [{"_index": sample.index, "_id": sample.id, "_source": sample.source} for sample in found.samples]
            for found in self._engine.evidence(detection, wanted, size=size)
        ]

    def crossings_after(self, detection: Detection, wanted: Wanted) -> Sequence[Crossing]:
        """See `EvidenceSource.crossings_after`: history, evaluated with the other events out of sight."""
        kind = detection.kind
        since = raw({"range": {"@timestamp": {"gte": wanted.first_ms, "format": "epoch_millis"}}}, "@timestamp")
        group = [raw({"term": {name: value}}, name) for name, value in wanted.group]
        narrowed = replace(detection, kind=kind.narrowed(all_of(kind.where, since, *group)))
        result = self._engine.over(narrowed, wanted.first_ms, wanted.last_ms + 1)
        if not result.complete:
            raise RetryableError(f"{detection.id}: what came after the alert was closed is not known: {result.error}")
        return [
            crossing
            for finding in result.findings
            if finding.group == wanted.group and finding.drill == wanted.drill
            for crossing in finding.crossings
        ]
