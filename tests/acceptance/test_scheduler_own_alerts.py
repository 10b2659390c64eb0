"""The daemon's own troubles stand among the alerts, in a real Elasticsearch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.document import from_document
from pipeline.alerts.outbox import Action
from pipeline.alerts.record import INDEX, Alert
from pipeline.delivery.routing import Routing
from pipeline.detection.timeline import Severity
from pipeline.elastic.client import connect
from pipeline.elastic.compare_and_set import read_many
from pipeline.errors import RetryableError
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.local_outbox import LocalOutbox
from pipeline.scheduler.own_alerts import OwnAlerts
from pipeline.settings import Settings
from tests.unit.clocks import ManualClock
from tests.unit.delivery.notices import ORDINARY

OPENED = replace(ORDINARY, title="siemlite: Elasticsearch is unreachable", severity=Severity.CRITICAL, state="open")
OVER = replace(OPENED, action=Action.RESOLVE, state="closed", last="2026-11-24T00:09:00.000Z")


class World:
    """An outbox, and Elasticsearch as the daemon knows it."""

    def __init__(self, client: Elasticsearch, home: Path) -> None:
        self.client = client
        self.clock = ManualClock()
        self.availability = Availability(self.clock)
        self.outbox = LocalOutbox(home / "outbox.db")
        self.own = OwnAlerts(client, self.outbox, self.availability)

    def alert(self) -> Alert:
        """Return the alert."""
        return from_document(read_many(self.client, INDEX, [OPENED.alert_id])[OPENED.alert_id])


@pytest.fixture
def world(es_ready: str, tmp_path: Path) -> Iterator[World]:
    client = connect(Settings(_env_file=None), es_ready)
    world = World(client, tmp_path)
    yield world
    world.outbox.close()
    client.close()


def test_a_trouble_is_an_alert_while_it_lasts_and_owes_nothing_by_itself(world: World) -> None:
    world.outbox.raise_("elasticsearch", OPENED, ["slack"], 1)
    assert world.own.write() == 1
    assert world.own.write() == 0
    alert = world.alert()
    assert (alert.state, alert.severity, alert.deliveries) == ("open", Severity.CRITICAL, ())
    assert alert.title.startswith("siemlite: Elasticsearch is unreachable: ")
    world.outbox.clear("elasticsearch", OVER, [], 2)
    assert world.own.write() == 1
    closed = world.alert().closed
    assert closed is not None
    assert (closed.by, world.alert().state) == ("siemlite", "closed")


def test_what_came_and_went_while_elasticsearch_was_away_is_written_once_it_is_back(world: World) -> None:
    world.availability.lost("pass", RetryableError("no answer"))
    world.outbox.raise_("elasticsearch", OPENED, ["slack"], 1)
    assert world.own.write() == 0
    world.outbox.clear("elasticsearch", OVER, [], 2)
    world.availability.found("pass")
    assert world.own.write() == 1
    assert world.alert().state == "closed"


def test_what_a_person_has_closed_stays_closed(world: World) -> None:
    world.outbox.raise_("elasticsearch", OPENED, ["slack"], 1)
    world.own.write()
    AlertActions(world.client, Routing({}), world.clock).close(OPENED.alert_id, "kim", "known")
    world.outbox.clear("elasticsearch", OVER, [], 2)
    assert world.own.write() == 0
    closed = world.alert().closed
    assert closed is not None
    assert closed.by == "kim"
    assert world.outbox.unrecorded() == []
