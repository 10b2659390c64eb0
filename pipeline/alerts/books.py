"""The outboxes of the alerts, as those who deliver read and write them.

Invariants: an outbox is written only in place of the one that was read; an alert that Elasticsearch refuses to have
changed, because somebody mapped a field of its group since, is written anew without those fields, so that its people
are told; one that cannot be read is logged and left out.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.document import from_document, to_source
from pipeline.alerts.outbox import Outbox, to_documents
from pipeline.alerts.record import INDEX, Alert
from pipeline.alerts.search import HEAVY, Sort, documents, read
from pipeline.elastic.compare_and_set import Merge, Outcome, Replace, Result, read_many, write_many
from pipeline.errors import PermanentError

_PAGE = 100
_MOST_URGENT_FIRST: Sort = ({"event.severity": "desc"}, {"@timestamp": "asc"}, {"event.id": "asc"})

_log = logging.getLogger(__name__)


class Books:
    """Reads alerts, without their heavy parts, and writes their outboxes."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client

    def alert(self, alert_id: str) -> Alert | None:
        """Return the alert as it is now. Raises `PermanentError` where it cannot be read."""
        document = read_many(self._client, INDEX, [alert_id], without=HEAVY).get(alert_id)
        return None if document is None else from_document(document)

    def alerts(self, query: dict[str, Any]) -> Iterator[Alert]:
        """Yield the alerts that match, the most severe first and the oldest among equals, to the last of them."""
        for alert, _ in read(documents(self._client, query, _MOST_URGENT_FIRST, page=_PAGE)):
            yield alert

    def write(self, alert: Alert, deliveries: Outbox) -> Alert | None:
        """Store the outbox; return the alert as it is now, or `None` where somebody else wrote since.

        Raises `PermanentError` where Elasticsearch refuses it.
        """
        if alert.version is None:
            raise PermanentError(f"the alert {alert.id} was not read before it was changed")
        merge = Merge(alert.id, alert.version, {"siemlite": {"deliveries": to_documents(deliveries)}})
        result = write_many(self._client, INDEX, [merge])[0]
        if result.outcome is Outcome.REFUSED:
            result = self._write_bare(alert, deliveries, result)
        if result.outcome is Outcome.REFUSED:
            raise PermanentError(f"Elasticsearch refuses to record a delivery of {alert.id}: {result.reason}")
        if result.outcome is Outcome.CONFLICT:
            return None
        return replace(alert, deliveries=deliveries, version=result.version)

    def _write_bare(self, alert: Alert, deliveries: Outbox, refused: Result) -> Result:
        document = read_many(self._client, INDEX, [alert.id]).get(alert.id)
        if document is None or document.version != alert.version:
            return Result(Outcome.CONFLICT)
        _log.warning("the alert %s loses the fields of its group: %s", alert.id, refused.reason)
        bare = to_source(replace(from_document(document), deliveries=deliveries), fields=False)
        return write_many(self._client, INDEX, [Replace(alert.id, document.version, bare)])[0]
