"""Closing alerts whose episode is over.

Invariants: an alert closes by itself only when its detection was evaluated, successfully and completely, past
its last crossing by more than `suppress_for`, so an error or an outage closes nothing; one that changed
meanwhile is left for the next time; a digest stays open until a person closes it, because it stands for work
that nobody has done yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from pipeline.alerts.actions import closed_by_itself
from pipeline.alerts.document import changing
from pipeline.alerts.lookup import readable
from pipeline.alerts.outbox import Routes
from pipeline.alerts.record import ACKNOWLEDGED, INDEX, OPEN
from pipeline.clock import Clock
from pipeline.elastic.compare_and_set import Merge, Outcome, write_many
from pipeline.events.values import instant_text


@dataclass(frozen=True, slots=True)
class Evaluated:
    """That a detection was evaluated completely up to an instant."""

    detection_id: str
    until_ms: int
    suppress_for: int


class Closing:
    """Closes what is over."""

    def __init__(self, client: Elasticsearch, routes: Routes, clock: Clock) -> None:
        self._client = client
        self._routes = routes
        self._clock = clock

    def close_expired(self, evaluated: Iterable[Evaluated]) -> int:
        """Close the alerts of detections that are evaluated beyond their episodes; return how many."""
        over = [
            {
                "bool": {
                    "filter": [
                        {"term": {"rule.id": each.detection_id}},
                        {"range": {"siemlite.last": {"lt": instant_text(each.until_ms - each.suppress_for)}}},
                    ]
                }
            }
            for each in evaluated
        ]
        if not over:
            return 0
        query = {
            "bool": {
                "filter": [{"terms": {"siemlite.state": [OPEN, ACKNOWLEDGED]}}],
                "should": over,
                "minimum_should_match": 1,
            }
        }
        now = self._clock.now_ms()
        writes = [
            Merge(alert.id, alert.version, changing(closed_by_itself(alert, self._routes, now)))
            for alert in readable(self._client, query)
            if alert.version is not None
        ]
        results = write_many(self._client, INDEX, writes, refresh=True)
        return sum(result.outcome is Outcome.WRITTEN for result in results)
