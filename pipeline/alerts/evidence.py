"""What the alerts ask the engine, in the engine's words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.alerts.store import Evidence
from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Crossing
from pipeline.detection.where import all_of, raw
from pipeline.engine.protocol import Evaluator
from pipeline.errors import RetryableError


class EngineEvidence:
    """Implements `EvidenceSource` by the engine."""

    def __init__(self, engine: Evaluator) -> None:
        self._engine = engine

    def counts(self, detection: Detection, wanted: Sequence[Evidence]) -> Sequence[int]:
        """See `EvidenceSource.counts`."""
        return [self._engine.count(detection, e.group, e.first_ms, e.last_ms, drill=e.drill) for e in wanted]

    def samples(self, detection: Detection, wanted: Evidence, size: int) -> Sequence[Mapping[str, Any]]:
        """See `EvidenceSource.samples`. Each has its index and id beside its document."""
        found = self._engine.samples(
            detection, wanted.group, wanted.first_ms, wanted.last_ms, size=size, drill=wanted.drill
        )
        return [{"_index": sample.index, "_id": sample.id, "_source": sample.source} for sample in found]

    def crossings_after(self, detection: Detection, wanted: Evidence) -> Sequence[Crossing]:
        """See `EvidenceSource.crossings_after`: history, evaluated with the other events out of sight."""
        kind = detection.kind
        since = raw({"range": {"@timestamp": {"gte": wanted.first_ms, "format": "epoch_millis"}}}, "@timestamp")
        group = [raw({"term": {name: value}}, name) for name, value in wanted.group]
        narrowed = replace(detection, kind=replace(kind, where=all_of(kind.where, since, *group)))
        result = self._engine.over(narrowed, wanted.first_ms, wanted.last_ms + 1)
        if not result.complete:
            raise RetryableError(f"{detection.id}: what came after the alert was closed is not known: {result.error}")
        return [
            crossing
            for finding in result.findings
            if finding.group == wanted.group and finding.drill == wanted.drill
            for crossing in finding.crossings
        ]
