"""What the alerts ask the engine, in the engine's words."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.detection.detection import Detection
from pipeline.detection.timeline import Crossing
from pipeline.detection.where import Clause, all_of, any_of, raw
from pipeline.elastic.compare_and_set import Source
from pipeline.engine.protocol import Evaluator
from pipeline.engine.result import Wanted
from pipeline.errors import RetryableError

_CLAUSES = 600
"""Of a query, which Elasticsearch takes at least 1,024 of: those of the detection come on top."""


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

    def crossings_after(self, detection: Detection, wanted: Sequence[Wanted]) -> Sequence[Sequence[Crossing]]:
        """See `EvidenceSource.crossings_after`: history, evaluated with the other events out of sight."""
        found: list[Sequence[Crossing]] = []
        most = max(1, _CLAUSES // (2 + len(detection.kind.group)))
        for start in range(0, len(wanted), most):
            found += self._crossings_after(detection, wanted[start : start + most])
        return found

    def _crossings_after(self, detection: Detection, wanted: Sequence[Wanted]) -> list[Sequence[Crossing]]:
        kind = detection.kind
        sights = any_of(*(all_of(_since(one), *(_value(*pair) for pair in one.group)) for one in wanted))
        narrowed = replace(detection, kind=kind.narrowed(all_of(kind.where, sights)))
        span = min(one.first_ms for one in wanted), max(one.last_ms for one in wanted) + 1
        result = self._engine.over(narrowed, *span)
        if not result.complete:
            raise RetryableError(f"{detection.id}: what came after an alert was closed is not known: {result.error}")
        found = {(finding.group, finding.drill): finding.crossings for finding in result.findings}
        return [
            [c for c in found.get((one.group, one.drill), ()) if one.first_ms <= c.time_ms <= one.last_ms]
            for one in wanted
        ]


def _since(one: Wanted) -> Clause:
    return raw({"range": {"@timestamp": {"gte": one.first_ms, "format": "epoch_millis"}}}, "@timestamp")


def _value(name: str, value: str) -> Clause:
    return raw({"term": {name: value}}, name)
