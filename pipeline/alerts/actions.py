"""What people do to alerts: acknowledge, close, retry what was given up.

Invariants: who did it, when and why is written in the same write as what it means and what it owes the
channels; when an alert is closed by a person, no event up to that instant counts again for its group; doing
the same again changes nothing; with a roll-up go the alerts that it stands for, but those that people were told of
since, by themselves or by a later roll-up.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from elasticsearch import Elasticsearch

from pipeline.alerts import outbox
from pipeline.alerts.document import changing, from_document
from pipeline.alerts.outbox import DeliveryState, Routes
from pipeline.alerts.record import ACKNOWLEDGED, CLOSED, INDEX, OPEN, SIEMLITE, Alert, Standing
from pipeline.alerts.search import HEAVY, read, readable, refresh, searched
from pipeline.clock import Clock
from pipeline.elastic.compare_and_set import Merge, Outcome, read_many, write_many
from pipeline.errors import PermanentError, RetryableError, SiemliteError

_TRIES = 25
ID_MIN = 4
"""Characters of an id that name an alert, where no other begins so."""


class AlertActions:
    """Changes alerts on a person's behalf."""

    def __init__(self, client: Elasticsearch, routes: Routes, clock: Clock) -> None:
        self._client = client
        self._routes = routes
        self._clock = clock

    def find(self, prefix: str) -> str:
        """Return the id of the one alert whose id begins so. Raises `SiemliteError` where there is not one."""
        if len(prefix) < ID_MIN:
            raise SiemliteError(f"{prefix!r} is too short for an alert's id; give at least {ID_MIN} characters")
        refresh(self._client)
        answer = searched(self._client, size=2, query={"prefix": {"event.id": prefix}}, source=False)
        ids = [str(hit["_id"]) for hit in answer["hits"]["hits"]]
        if not ids:
            raise SiemliteError(f"there is no alert {prefix!r}; see `siemlite alerts list`")
        if len(ids) > 1:
            raise SiemliteError(f"{prefix!r} begins the ids of several alerts; give more of it")
        return ids[0]

    def acknowledge(self, alert_id: str, by: str, note: str = "") -> Alert:
        """Note that `by` looks after an open alert and its members. Raises `SiemliteError` where it is closed."""

        def change(alert: Alert) -> Alert:
            if alert.state == CLOSED and alert.id == alert_id:
                raise SiemliteError(f"the alert {alert.id} is closed; nothing is left to acknowledge")
            if alert.state != OPEN:
                return alert
            now = self._clock.now_ms()
            return replace(
                alert,
                state=ACKNOWLEDGED,
                acknowledged=Standing(by, now, note),
                deliveries=outbox.acknowledged(alert.deliveries, self._routes, now),
            )

        return self._with_members(alert_id, change)

    def close(self, alert_id: str, by: str, note: str = "") -> Alert:
        """Close an alert and its members for good: what happened up to now never counts again for their groups."""

        def change(alert: Alert) -> Alert:
            if alert.episode.ended_ms is not None:
                return alert
            now = self._clock.now_ms()
            heard = alert.state == CLOSED
            return replace(
                alert,
                state=CLOSED,
                closed=Standing(by, now, note),
                episode=replace(alert.episode, ended_ms=now),
                deliveries=alert.deliveries if heard else outbox.resolved(alert.deliveries, self._routes, now),
            )

        return self._with_members(alert_id, change)

    def retry(self, alert_id: str) -> Alert:
        """Owe again what was given up."""
        return self._change(
            alert_id, lambda alert: replace(alert, deliveries=outbox.retried(alert.deliveries, self._clock.now_ms()))
        )

    def given_up(self) -> list[str]:
        """Return the ids of the alerts with a delivery that was given up."""
        refresh(self._client)
        query = {"term": {"siemlite.deliveries.state": DeliveryState.DEAD.value}}
        return [alert.id for alert in readable(self._client, query)]

    def _with_members(self, alert_id: str, change: Callable[[Alert], Alert]) -> Alert:
        """Change an alert and, of a roll-up, the members; again, it changes those that are left of a failure."""
        changed = self._change(alert_id, change)
        document = read_many(self._client, INDEX, [alert_id], without=("siemlite.samples",)).get(alert_id)
        left = () if document is None else from_document(document).members
        for _ in range(_TRIES):
            if not left:
                return changed
            left = self._changed(left, lambda alert: change(alert) if _stands_for(alert_id, alert) else alert)
        raise RetryableError(f"the alerts that {alert_id} stands for keep changing; try again")

    def _changed(self, ids: Sequence[str], change: Callable[[Alert], Alert]) -> tuple[str, ...]:
        """Change alerts once; return the ids of those that others changed meanwhile."""
        found = [alert for alert, _ in read(read_many(self._client, INDEX, ids, without=HEAVY).values())]
        merges = [
            Merge(before.id, before.version, changing(after))
            for before in found
            if before.version is not None and (after := change(before)) != before
        ]
        lost: list[str] = []
        for merge, result in zip(merges, write_many(self._client, INDEX, merges, refresh=True), strict=True):
            if result.outcome is Outcome.REFUSED:
                raise PermanentError(f"Elasticsearch refuses the change of {merge.id}: {result.reason}")
            if result.outcome is Outcome.CONFLICT:
                lost.append(merge.id)
        return tuple(lost)

    def _change(self, alert_id: str, change: Callable[[Alert], Alert]) -> Alert:
        for _ in range(_TRIES):
            document = read_many(self._client, INDEX, [alert_id], without=HEAVY).get(alert_id)
            if document is None:
                raise SiemliteError(f"there is no alert {alert_id!r}; see `siemlite alerts list`")
            before = from_document(document)
            after = change(before)
            if after == before:
                return before
            merge = Merge(alert_id, document.version, changing(after))
            result = write_many(self._client, INDEX, [merge], refresh=True)[0]
            if result.outcome is Outcome.REFUSED:
                raise PermanentError(f"Elasticsearch refuses the change of {alert_id}: {result.reason}")
            if result.outcome is Outcome.WRITTEN:
                return replace(after, version=result.version)
        raise RetryableError(f"the alert {alert_id} keeps changing; try again")


def _stands_for(rollup_id: str, alert: Alert) -> bool:
    """Return whether it is through that roll-up alone that people know of `alert`."""
    return not alert.deliveries and alert.membership is not None and alert.membership.id == rollup_id


def closed_by_itself(alert: Alert, routes: Routes, now_ms: int) -> Alert:
    """Return the alert after its episode ended for want of crossings."""
    return replace(
        alert,
        state=CLOSED,
        closed=Standing(SIEMLITE, now_ms, "no crossing any more"),
        deliveries=outbox.resolved(alert.deliveries, routes, now_ms),
    )
