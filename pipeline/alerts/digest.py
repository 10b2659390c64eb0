"""One message about everything that was found long after it happened.

Alerts that the daemon finds more than `SIEMLITE_PAGE_MAX_AGE` late are written without deliveries and marked
as gathering. Once none has joined for `QUIET_S`, or the first has waited for `PATIENCE_S`, they become the
members of a digest. Invariants: the digest, which owes the messages, is written before its members are marked
as told; a crash between the two writes the same digest again, which is nothing new; its severity is its most
severe member's, so that it goes where that member would have gone.
"""

from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts import outbox
from pipeline.alerts.document import changing, from_document, to_source
from pipeline.alerts.outbox import Routes
from pipeline.alerts.record import INDEX, Alert, Membership
from pipeline.alerts.rollups import DIGEST, digest
from pipeline.alerts.search import HEAVY, readable, refresh, searched
from pipeline.clock import Clock
from pipeline.elastic.compare_and_set import Create, Merge, Outcome, read_many, write_many
from pipeline.errors import PermanentError

QUIET_S = 30
PATIENCE_S = 300
_ROUNDS = 10
_GATHERING: dict[str, Any] = {"term": {"siemlite.rollup.state": "gathering"}}


class Digests:
    """Makes digests."""

    def __init__(self, client: Elasticsearch, routes: Routes, clock: Clock) -> None:
        self._client = client
        self._routes = routes
        self._clock = clock

    def gather(self, *, at_once: bool = False) -> Alert | None:
        """Write a digest of the alerts that wait for one, if it is time (or `at_once`); return it."""
        if not self._due(at_once):
            return None
        refresh(self._client)
        members = readable(self._client, _GATHERING)
        if not members:
            return None
        now = self._clock.now_ms()
        found = digest(members)
        found = replace(found, deliveries=outbox.opened(self._routes, found.subject, now))
        result = write_many(self._client, INDEX, [Create(found.id, to_source(found))], refresh=True)[0]
        if result.outcome is Outcome.REFUSED:
            raise PermanentError(f"Elasticsearch refuses the digest {found.id}: {result.reason}")
        self._mark(members, found.id, now)
        return found

    def _due(self, at_once: bool) -> bool:
        answer = searched(
            self._client,
            size=0,
            query=_GATHERING,
            aggregations={
                "first": {"min": {"field": "siemlite.rollup.since"}},
                "last": {"max": {"field": "siemlite.rollup.since"}},
            },
        )
        found = answer.get("aggregations") or {}
        first, last = ((found.get(name) or {}).get("value") for name in ("first", "last"))
        if first is None or last is None:
            return False
        now = self._clock.now_ms()
        # An instant ahead of now is of a clock that was wrong: it says nothing of how long they have waited.
        return at_once or last > now or now - last >= 1000 * QUIET_S or now - first >= 1000 * PATIENCE_S

    def _mark(self, members: list[Alert], digest_id: str, now_ms: int) -> None:
        left = members
        for _ in range(_ROUNDS):
            told = [replace(alert, membership=Membership(DIGEST, digest_id, now_ms)) for alert in left]
            writes = [Merge(alert.id, alert.version, changing(alert)) for alert in told if alert.version is not None]
            results = write_many(self._client, INDEX, writes, refresh=True)
            lost = [alert.id for alert, result in zip(told, results, strict=True) if result.outcome is Outcome.CONFLICT]
            if not lost:
                return
            present = read_many(self._client, INDEX, lost, without=HEAVY)
            again = [from_document(document) for document in present.values()]
            left = [a for a in again if a.membership is not None and a.membership.id is None]
