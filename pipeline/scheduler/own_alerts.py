"""The daemon's troubles among the other alerts, once Elasticsearch is there to hold them.

Invariants: a trouble is one alert, under the id that its messages carry; its messages are the local outbox's
business, so the alert owes none; what could not be written yet is written later, and an alert that a person
has closed stays closed.
"""

from dataclasses import replace

from elasticsearch import Elasticsearch

from pipeline.alerts.document import changing, from_document, to_source
from pipeline.alerts.episodes import Episode
from pipeline.alerts.outbox import Action, required_instant
from pipeline.alerts.record import ALIAS, CLOSED, INDEX, SIEMLITE, Alert, Standing
from pipeline.alerts.search import HEAVY
from pipeline.delivery.notice import Notice
from pipeline.elastic.compare_and_set import Create, Merge, Outcome, read_many, require_template, write_many
from pipeline.errors import PermanentError
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.local_outbox import LocalOutbox


class OwnAlerts:
    """Writes troubles as alerts."""

    def __init__(self, client: Elasticsearch, outbox: LocalOutbox, availability: Availability) -> None:
        self._client = client
        self._outbox = outbox
        self._availability = availability

    def write(self) -> int:
        """Write what is not written yet, unless Elasticsearch is away; return how many alerts were written.

        Raises `PermanentError`, once the others are written, where one is refused.
        """
        if self._availability.away_for_s is not None:
            return 0
        notices = self._outbox.unrecorded()
        if notices:
            require_template(self._client, ALIAS)
        written = 0
        refused: PermanentError | None = None
        for notice in notices:
            try:
                written += self._write(notice)
            except PermanentError as error:
                refused = error
        if refused is not None:
            raise refused
        return written

    def _write(self, notice: Notice) -> bool:
        present = read_many(self._client, INDEX, [notice.alert_id], without=HEAVY).get(notice.alert_id)
        after = alert_of(notice)
        if present is None:
            result = write_many(self._client, INDEX, [Create(after.id, to_source(after))], refresh=True)[0]
        else:
            before = from_document(present)
            if before.state == CLOSED:
                self._outbox.recorded(notice)
                return False
            closed = replace(before, state=after.state, closed=after.closed, episode=after.episode)
            result = write_many(
                self._client, INDEX, [Merge(after.id, present.version, changing(closed))], refresh=True
            )[0]
        if result.outcome is Outcome.REFUSED:
            raise PermanentError(f"Elasticsearch refuses the alert {after.id}: {result.reason}")
        if result.outcome is Outcome.WRITTEN:
            self._outbox.recorded(notice)
        return result.outcome is Outcome.WRITTEN


def alert_of(notice: Notice) -> Alert:
    """Return the alert that a trouble is. Pure."""
    first, last = required_instant(notice.first), required_instant(notice.last)
    over = notice.action is Action.RESOLVE
    return Alert(
        id=notice.alert_id,
        key=notice.alert_id,
        detection_id=notice.detection_id,
        title=f"{notice.title}: {notice.summary}",
        guide=notice.guide,
        attack=(),
        tags=(),
        group=notice.group,
        episode=Episode(1, first, first, last, notice.severity, 0),
        suppress_for=0,
        count=0,
        state=notice.state,
        closed=Standing(SIEMLITE, last, "over") if over else None,
    )
