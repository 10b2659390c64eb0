"""What the daemon says of itself, to whom it concerns."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.delivery.retry import Failure
from pipeline.engine.result import Coverage
from pipeline.errors import ConfigurationError
from pipeline.scheduler.health import STUCK_S, AddressTakenError, Health, HealthServer, Vitals
from pipeline.scheduler.metrics import Metrics
from pipeline.scheduler.passes import DetectionOutcome, PassOutcome
from tests.unit.clocks import ManualClock

GOOD = PassOutcome((DetectionOutcome("a", opened=2, coverage=Coverage(arrived=7)), DetectionOutcome("b")))
HALF = PassOutcome((DetectionOutcome("a"), DetectionOutcome("b", error="the query is refused")))
BAD = PassOutcome((DetectionOutcome("a", error="no"), DetectionOutcome("b", error="no")))


class Shipping(Collector):
    """The numbers of another part of the process."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("siemlite_spool_bytes", "Size of the spools' files", value=4096)


class Daemon:
    """Vitals behind a real server."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.vitals = Vitals(self.clock, ready_within_s=45)
        self.metrics = Metrics(self.vitals, Shipping())
        self.server = HealthServer("127.0.0.1:0", self.vitals, self.metrics.registry)

    def get(self, path: str) -> httpx.Response:
        """Ask."""
        return httpx.get(f"http://127.0.0.1:{self.server.port}{path}", trust_env=False)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    daemon.server.start()
    yield daemon
    daemon.server.close()


def test_it_is_live_while_its_threads_move(daemon: Daemon) -> None:
    assert daemon.get("/healthz").status_code == 200
    daemon.clock.advance(31)
    assert daemon.get("/healthz").status_code == 503
    daemon.vitals.beat()
    assert daemon.get("/healthz").status_code == 200


def test_a_pass_that_never_ends_is_no_life(daemon: Daemon) -> None:
    daemon.vitals.pass_began()
    daemon.clock.advance(STUCK_S)
    daemon.vitals.beat()
    assert daemon.get("/healthz").status_code == 503
    daemon.vitals.pass_ended(None)
    assert daemon.get("/healthz").status_code == 200


def test_a_leader_is_ready_while_its_passes_succeed(daemon: Daemon) -> None:
    daemon.vitals.lease_seen(leads=True)
    assert daemon.get("/readyz").status_code == 503
    daemon.vitals.pass_ended(GOOD)
    assert daemon.get("/readyz").json() == {
        "ready": True,
        "role": "leader",
        "pass_age_seconds": 0.0,
        "detections": 2,
        "failing": [],
    }
    daemon.clock.advance(46)
    daemon.vitals.lease_seen(leads=True)
    assert daemon.get("/readyz").status_code == 503


def test_one_failing_detection_is_named_and_all_failing_is_no_pass(daemon: Daemon) -> None:
    daemon.vitals.lease_seen(leads=True)
    daemon.vitals.pass_ended(HALF)
    ready = daemon.get("/readyz")
    assert (ready.status_code, ready.json()["failing"]) == (200, ["b"])
    daemon.clock.advance(46)
    daemon.vitals.pass_ended(BAD)
    assert daemon.get("/readyz").status_code == 503


def test_a_standby_is_ready_while_it_sees_the_lease(daemon: Daemon) -> None:
    assert daemon.get("/readyz").status_code == 503
    daemon.vitals.lease_seen(leads=False)
    ready = daemon.get("/readyz")
    assert (ready.status_code, ready.json()["role"]) == (200, "standby")
    daemon.clock.advance(46)
    assert daemon.get("/readyz").status_code == 503


def test_the_metrics_count_what_happens(daemon: Daemon) -> None:
    daemon.metrics.passed(GOOD, 0.3)
    daemon.metrics.passed(HALF, 0.2)
    daemon.metrics.pass_failed()
    daemon.metrics.attempted("slack", None)
    daemon.metrics.attempted("slack", Failure("HTTP 500"))
    daemon.metrics.attempted("slack", Failure("HTTP 404", permanent=True))
    text = daemon.get("/metrics").text
    for line in (
        'siemlite_passes_total{result="succeeded"} 1.0',
        'siemlite_passes_total{result="failed"} 2.0',
        "siemlite_pass_seconds_count 2.0",
        "siemlite_detections_failing 1.0",
        'siemlite_events_evaluated_total{detection="a"} 7.0',
        'siemlite_alerts_total{change="opened",detection="a"} 2.0',
        'siemlite_deliveries_total{channel="slack",result="taken"} 1.0',
        'siemlite_deliveries_total{channel="slack",result="failed"} 1.0',
        'siemlite_deliveries_total{channel="slack",result="refused"} 1.0',
        "siemlite_pass_age_seconds -1.0",
        "siemlite_leader 0.0",
        "siemlite_spool_bytes 4096.0",
    ):
        assert line in text.splitlines()


def test_anything_else_is_not_found(daemon: Daemon) -> None:
    assert daemon.get("/").status_code == 404


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        vitals = Vitals(ManualClock(), ready_within_s=1)
        with pytest.raises(ConfigurationError, match=address):
            HealthServer(address, vitals, Metrics(vitals).registry)


def test_the_metrics_say_what_is_not_evaluated_and_why(daemon: Daemon) -> None:
    coverage = Coverage(behind=2, too_late=3, misfiled=4, ungrouped=5, unjudged=6)
    daemon.metrics.passed(PassOutcome((DetectionOutcome("a", amended=8, coverage=coverage),)), 0.3)
    lines = daemon.get("/metrics").text.splitlines()
    for why, count in (("too late", 3), ("misfiled", 4), ("without a group", 5), ("groups not judged", 6)):
        assert f'siemlite_events_not_evaluated_total{{detection="a",why="{why}"}} {count}.0' in lines
    assert 'siemlite_events_behind{detection="a"} 2.0' in lines
    assert 'siemlite_alerts_total{change="amended",detection="a"} 8.0' in lines


def test_a_taken_address_is_waited_for_and_one_of_another_machine_is_not() -> None:
    vitals = Vitals(ManualClock(), ready_within_s=45)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        health = Health(lambda: HealthServer(address, vitals, Metrics(vitals).registry))
        with pytest.raises(AddressTakenError, match="SIEMLITE_HEALTH"):
            health.listen()
    health.listen()
    health.listen()
    assert httpx.get(f"http://{address}/healthz", trust_env=False).status_code == 200
    health.close()
    health.listen()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/healthz", trust_env=False)
    elsewhere = Health(lambda: HealthServer("192.0.2.1:9108", vitals, Metrics(vitals).registry))
    with pytest.raises(ConfigurationError) as raised:
        elsewhere.listen()
    assert not isinstance(raised.value, AddressTakenError)
