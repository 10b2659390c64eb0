"""Closing alerts whose episode is over.

Invariants: an alert closes by itself only when its detection was evaluated, successfully and completely, past
its last crossing by more than `suppress_for`, so an error or an outage closes nothing; one that stands for a
silence is not over before an event of its group was heard again, however long that takes: its last hour is looked
through each time, all of it every ten minutes only, because there may be many and old ones; one that changed
meanwhile is left for the next time; a roll-up closes after the last of its members; a digest stays open until a
person closes it, because it stands for work that nobody has done yet.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from elasticsearch import Elasticsearch

from pipeline.alerts.actions import closed_by_itself
from pipeline.alerts.document import changing
from pipeline.alerts.outbox import Routes
from pipeline.alerts.ports import EvidenceSource
from pipeline.alerts.record import ACKNOWLEDGED, INDEX, OPEN, Alert
from pipeline.alerts.search import readable, searched
from pipeline.clock import Clock
from pipeline.detection.detection import Detection
from pipeline.elastic.compare_and_set import Merge, Outcome, write_many
from pipeline.engine.result import Wanted
from pipeline.errors import SiemliteError
from pipeline.events.values import instant_text
from pipeline.told import Told

_WHOLE_EVERY_S = 600.0
_LATE_MS = 3_600_000
"""How late an event that ends a silence is found at once, and not only when all of the silence is looked at."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvaluatedUpTo:
    """That a detection was evaluated completely up to an instant."""

    detection: Detection
    until_ms: int


class _Listened(NamedTuple):
    """That nothing was heard up to `until_ms`; all of the silence is looked at again at `whole_at`."""

    until_ms: int
    whole_at: float


class Closing:
    """Closes what is over."""

    def __init__(self, client: Elasticsearch, routes: Routes, clock: Clock, evidence: EvidenceSource) -> None:
        self._client = client
        self._routes = routes
        self._clock = clock
        self._evidence = evidence
        self._listened: dict[str, dict[str, _Listened]] = {}
        self._told = defaultdict[str, Told](Told)

    def close_expired(self, evaluated: Iterable[EvaluatedUpTo]) -> int:
        """Close the alerts of detections that are evaluated beyond their episodes; return how many."""
        known = {each.detection.id: each for each in evaluated}
        over = [
            {
                "bool": {
                    "filter": [
                        {"term": {"rule.id": name}},
                        {"range": {"siemlite.last": {"lt": instant_text(each.until_ms - each.detection.suppress_for)}}},
                    ]
                }
            }
            for name, each in known.items()
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
        alerts = readable(self._client, query)
        held = self._with_open_members([alert.id for alert in alerts if alert.is_rollup])
        for each in known.values():
            held |= self._silent(each, alerts)
        writes = [
            Merge(alert.id, alert.version, changing(closed_by_itself(alert, self._routes, now)))
            for alert in alerts
            if alert.version is not None and alert.id not in held
        ]
        results = write_many(self._client, INDEX, writes, refresh=True)
        return sum(result.outcome is Outcome.WRITTEN for result in results)

    def _silent(self, evaluated: EvaluatedUpTo, alerts: Sequence[Alert]) -> set[str]:
        """Return those of the detection's alerts that stand for a silence of which no end is known.

        Where its events cannot be counted now all of them stay open, and the other detections' alerts are closed.
        """
        detection = evaluated.detection
        if not detection.kind.follows_clock:
            return set()
        own = [
            alert
            for alert in alerts
            if alert.detection_id == detection.id and not alert.is_rollup and alert.drill is None
        ]
        now = self._clock.monotonic()
        before = self._listened.get(detection.id, {})
        after: dict[str, _Listened] = {}
        wanted = []
        for alert in own:
            first_ms = alert.episode.last_ms + 1
            known = before.get(alert.id)
            if known is not None and now < known.whole_at and known.until_ms <= evaluated.until_ms:
                first_ms = max(first_ms, known.until_ms - _LATE_MS)
                after[alert.id] = _Listened(evaluated.until_ms, known.whole_at)
            else:
                after[alert.id] = _Listened(evaluated.until_ms, now + _WHOLE_EVERY_S)
            wanted.append(Wanted(alert.group, first_ms, evaluated.until_ms))
        try:
            counts = self._evidence.counts(detection, wanted) if wanted else ()
        except SiemliteError as error:
            if self._told[detection.id].fresh(str(error)):
                _log.warning("%s: whether its silences have ended is not known: %s", detection.id, error)
            return {alert.id for alert in own}
        self._told[detection.id].over()
        self._listened[detection.id] = after
        return {alert.id for alert, count in zip(own, counts, strict=True) if not count}

    def _with_open_members(self, rollups: Sequence[str]) -> set[str]:
        """Return those of the roll-ups that stand for an alert which is not over."""
        if not rollups:
            return set()
        answer = searched(
            self._client,
            size=0,
            query={
                "bool": {
                    "filter": [
                        {"terms": {"siemlite.rollup.id": list(rollups)}},
                        {"terms": {"siemlite.state": [OPEN, ACKNOWLEDGED]}},
                    ]
                }
            },
            aggregations={"rollups": {"terms": {"field": "siemlite.rollup.id", "size": len(rollups)}}},
        )
        return {bucket["key"] for bucket in answer["aggregations"]["rollups"]["buckets"]}
