"""Looking through alerts, for people and for programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.document import from_document
from pipeline.alerts.record import INDEX, Alert
from pipeline.alerts.search import Sort, documents, read, refresh, searched
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import read_many
from pipeline.errors import SiemliteError
from pipeline.events.values import instant_text

_PAGE = 500
_LATEST_FIRST: Sort = ({"siemlite.last": "desc"}, {"event.id": "asc"})


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts: all conditions that are given must hold. Instants are milliseconds since the epoch."""

    states: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    detections: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    drills: bool = False
    undelivered: bool = False

    def query(self) -> dict[str, Any]:
        """Return the Elasticsearch query."""
        filters: list[dict[str, Any]] = []
        for field, values in (
            ("siemlite.state", self.states),
            ("siemlite.severity", tuple(s.value for s in self.severities)),
            ("rule.id", self.detections),
            ("siemlite.group.value", self.values),
        ):
            if values:
                filters.append({"terms": {field: list(values)}})
        span = {}
        if self.since_ms is not None:
            span["gte"] = instant_text(self.since_ms)
        if self.until_ms is not None:
            span["lt"] = instant_text(self.until_ms)
        if span:
            filters.append({"range": {"siemlite.last": span}})
        if self.undelivered:
            filters.append({"terms": {"siemlite.deliveries.state": ["pending", "dead"]}})
        excluded = [] if self.drills else [{"exists": {"field": "siemlite.drill.id"}}]
        return {"bool": {"filter": filters, "must_not": excluded}}


def listed(client: Elasticsearch, which: Filter, limit: int) -> Iterator[tuple[Alert, Mapping[str, Any]]]:
    """Yield up to `limit` alerts, the latest first, each with its document without samples."""
    refresh(client)
    yield from read(documents(client, which.query(), _LATEST_FIRST, page=_PAGE, limit=limit))


def matching(client: Elasticsearch, which: Filter) -> int:
    """Return how many alerts there are in all."""
    answer = searched(client, size=0, query=which.query(), track_total_hits=True)
    return int(answer["hits"]["total"]["value"])


def whole(client: Elasticsearch, alert_id: str) -> tuple[Alert, Mapping[str, Any]]:
    """Return one alert with everything there is of it. Raises `SiemliteError` where it is gone."""
    document = read_many(client, INDEX, [alert_id]).get(alert_id)
    if document is None:
        raise SiemliteError(f"there is no alert {alert_id!r}; see `siemlite alerts list`")
    return from_document(document), document.source
