"""From findings to a Slack webhook: a real Elasticsearch, a real HTTP server, and the daemon's own loop."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.record import ALIAS
from pipeline.alerts.store import AlertStore
from pipeline.clock import SystemClock
from pipeline.delivery.channels.base import load_channels
from pipeline.delivery.dispatcher import Dispatcher
from pipeline.delivery.routing import Routing
from pipeline.elastic.client import connect
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.daemon import Parts, Scheduler
from pipeline.scheduler.health import Vitals
from pipeline.scheduler.lease import Lease
from pipeline.settings import Settings, load_settings
from tests.unit.alerts.memory_engine import MemoryEngine, address, detection
from tests.unit.delivery.receiver import receiver
from tests.unit.waiting import until


@pytest.fixture
def client(es_ready: str) -> Iterator[Elasticsearch]:
    client = connect(Settings(_env_file=None), es_ready)
    yield client
    client.close()


def test_a_burst_is_found_by_the_daemon_and_reaches_slack_once(client: Elasticsearch) -> None:
    clock = SystemClock()
    engine = MemoryEngine()
    with receiver() as slack:
        settings = load_settings(None, slack_webhook=SecretStr(slack.url))
        channels = load_channels(settings, clock)
        routes = Routing(channels)
        store = AlertStore(client, EngineEvidence(engine), routes, clock)
        scheduler = Scheduler(
            Parts(
                detections=lambda: [detection()],
                engine=engine,
                alerts=store,
                deliveries=Dispatcher(client, channels, clock, owner="test"),
                checkpoints=Checkpoints(client, clock),
                lease=Lease(client, clock, "test"),
                clock=clock,
                availability=Availability(clock),
                vitals=Vitals(clock, ready_within_s=30),
            ),
            interval_s=0.2,
        )
        stop = threading.Event()
        thread = threading.Thread(target=scheduler.run, args=(stop,))
        thread.start()
        try:
            now = clock.now_ms()
            engine.add(address("203.0.113.7"), now - 2000, now - 1000, now)
            until(lambda: bool(slack.requests))
            engine.add(address("203.0.113.7"), now + 1)
            until(lambda: _alert(client)["siemlite"]["count"] == 4)
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()
    [body] = slack.bodies
    assert body["text"].startswith("[HIGH] Title of brute_force.\nsource.address=203.0.113.7: 3 events from ")
    alert = _alert(client)
    assert alert["event"]["kind"] == "alert"
    assert alert["source"] == {"address": "203.0.113.7", "ip": "203.0.113.7"}
    assert alert["rule"]["id"] == "brute_force"
    assert alert["threat"]["technique"] == {"id": ["T1110"], "subtechnique": {"id": ["T1110.001"]}}
    [delivery] = alert["siemlite"]["deliveries"]
    assert (delivery["channel"], delivery["action"], delivery["state"]) == ("slack", "open", "sent")


def _alert(client: Elasticsearch) -> dict[str, Any]:
    client.indices.refresh(index=ALIAS)
    [hit] = client.search(index=ALIAS, size=10)["hits"]["hits"]
    source: dict[str, Any] = hit["_source"]
    return source
