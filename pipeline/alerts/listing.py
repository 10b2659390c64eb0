"""Looking through alerts, for people and for programs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.document import from_document
from pipeline.alerts.lookup import HEAVY, document_of, refresh, searched
from pipeline.alerts.record import INDEX, Alert
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import read_many
from pipeline.errors import PermanentError, SiemliteError
from pipeline.events.values import instant_text

_PAGE = 500

_log = logging.getLogger(__name__)


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
    after: Sequence[Any] | None = None
    left = limit
    while left > 0:
        size = min(left, _PAGE)
        answer = searched(
            client,
            size=size,
            query=which.query(),
            sort=[{"siemlite.last": "desc"}, {"event.id": "asc"}],
            search_after=after,
            source_excludes=list(HEAVY),
            seq_no_primary_term=True,
        )
        hits = answer["hits"]["hits"]
        for hit in hits:
            try:
                yield from_document(document_of(hit)), hit["_source"]
            except PermanentError as error:
                _log.error("%s; mend or delete that document of %s", error, INDEX)
        left -= len(hits)
        if len(hits) < size:
            return
        after = hits[-1]["sort"]


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
