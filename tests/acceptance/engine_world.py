"""Helpers of the engine's acceptance tests: events written to a real Elasticsearch, detections made in place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from pipeline.detection import Detection, DistinctCount, Severity, Threshold, minutes
from pipeline.detection.kind import Kind
from pipeline.elastic.templates import install
from pipeline.engine.checkpoint import Checkpoint
from pipeline.engine.engine import Engine, Limits
from pipeline.engine.finding import Finding
from pipeline.engine.result import PassResult
from pipeline.events.mark import DrillMarker

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
MARKER = DrillMarker(b"k" * 32)


def detection(kind: Kind, name: str = "under_test") -> Detection:
    """Return `kind` as a detection."""
    return Detection(name, "Under test", "", Path("/nowhere"), kind)


def instant_text(time_ms: int) -> str:
    """Return an instant as it is written in a document."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")


def index_of(time_ms: int) -> str:
    """Return the daily index of an event."""
    return f"security-logs-{instant_text(time_ms)[:10].replace('-', '.')}"


def failure(time_ms: int, address: str = "203.0.113.7", user: str | None = "u1", **extra: Any) -> dict[str, Any]:
    """Return a failed login at `time_ms`."""
    event: dict[str, Any] = {"@timestamp": time_ms, "event.code": "LOGIN_FAILURE", "source.address": address, **extra}
    if user is not None:
        event["user.id"] = user
    return event


@dataclass
class World:
    """Elasticsearch with siemlite's templates, an engine on it, and the checkpoints a scheduler would keep."""

    url: str
    limits: Limits | None = None
    since: dict[str, Checkpoint] = field(default_factory=dict)
    written: int = 0

    def __post_init__(self) -> None:
        self.client = Elasticsearch(self.url, max_retries=0, request_timeout=60)
        install(self.client)
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """Return an engine that remembers nothing, as after a restart."""
        return Engine(self.client, verify_mark=MARKER.verify, limits=self.limits)

    def write(self, events: Iterable[Mapping[str, Any]], drill: str | None = None, *, sign: bool = True) -> None:
        """Index `events`, flat dicts; those of a `drill` carry its mark, signed or forged."""
        lines: list[Any] = []
        for event in events:
            self.written += 1
            name, index = f"e{self.written:08d}", index_of(event["@timestamp"])
            body = {"event.id": name, **event, "@timestamp": instant_text(event["@timestamp"])}
            if drill is not None:
                signature = MARKER.sign(index, name, drill, event["@timestamp"]) if sign else "bm90IHNpZ25lZA"
                body |= {"siemlite.drill.id": drill, "siemlite.drill.signature": signature}
            lines += [orjson.dumps({"create": {"_index": index, "_id": name}}), orjson.dumps(body)]
        for start in range(0, len(lines), 20_000):
            answer = self.client.bulk(operations=lines[start : start + 20_000])
            assert not answer["errors"], answer["items"][0]

    def step(self, detections: Sequence[Detection], now_ms: int) -> list[PassResult]:
        """Evaluate one step and keep the checkpoints."""
        results = list(self.engine.evaluate(detections, self.since, now_ms))
        for result in results:
            self.engine.settle(result)
            self.since[result.detection.id] = result.checkpoint
        return results

    def findings(self, detections: Sequence[Detection], now_ms: int) -> list[Finding]:
        """Evaluate steps until nothing remains; every one must be complete."""
        found: list[Finding] = []
        while True:
            results = self.step(detections, now_ms)
            for result in results:
                assert result.complete, result.error
                found += result.findings
            if not any(result.more for result in results):
                return found


def instants(findings: Iterable[Finding]) -> dict[tuple[str, ...], list[int]]:
    """Return the crossings' instants by group values."""
    found: dict[tuple[str, ...], set[int]] = {}
    for finding in findings:
        key = tuple(value for _, value in finding.group)
        found.setdefault(key, set()).update(crossing.time_ms for crossing in finding.crossings)
    return {group: sorted(times) for group, times in sorted(found.items())}


FIVE = detection(
    Threshold(
        severity=Severity.HIGH,
        where={"event.code": "LOGIN_FAILURE"},
        group_by="source.address",
        at_least=5,
        within=minutes(15),
    ),
    "five",
)
SPRAY = detection(
    DistinctCount(
        severity=Severity.HIGH,
        where={"event.code": "LOGIN_FAILURE"},
        group_by="source.address",
        field="user.id",
        at_least=4,
        within=minutes(60),
    ),
    "spray",
)
