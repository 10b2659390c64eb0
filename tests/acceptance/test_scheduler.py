"""The daemon as operators run it: processes, signals, a real Elasticsearch that goes and comes back."""

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.record import Alert
from pipeline.alerts.search import all_alerts, refresh
from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from tests.acceptance.attacks import fail_logins
from tests.command import Running, environment, running
from tests.node import TestNode, free_ports
from tests.proxy import Fault, Kind, fault_proxy
from tests.unit.delivery.receiver import Receiver, receiver
from tests.unit.waiting import until

DETECTION = '''"""Title {number}."""
from pipeline.detection import Severity, Threshold, minutes

detection = Threshold(
    severity=Severity.HIGH, where={{"event.code": "X{number}"}}, group_by="user.name", at_least=2, within=minutes(1)
)
'''


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def ready(url: str) -> Elasticsearch:
    client = connect(Settings(_env_file=None), url)
    install(client)
    return client


def attack(client: Elasticsearch, address: str) -> None:
    now = now_ms()
    fail_logins(client, address, [now - n for n in range(5)])


def alerts(client: Elasticsearch) -> list[Alert]:
    refresh(client)
    found = all_alerts(client, {"match_all": {}})
    return [a for a in found if a.detection_id == "brute_force_by_address"]


def told(slack: Receiver, address: str) -> int:
    return sum(address in request.body.decode() for request in list(slack.requests))


STOP_SECONDS = 10.0
"""When a service manager loses its patience: `TimeoutStopSec` in `systemd/siemlite-scheduler.service`."""


def ended(daemon: Running, number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal; the process must end in time, with 0."""
    began = time.monotonic()
    daemon.process.send_signal(number)
    daemon.process.wait(60)
    took = time.monotonic() - began
    assert daemon.ends() == 0, daemon.stderr
    assert took < STOP_SECONDS, daemon.stderr
    assert not any("Traceback" in line for line in daemon.stderr), daemon.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_attack_is_told_within_seconds_and_a_signal_ends_it_in_good_order(
    es_ready: str, tmp_path: Path, number: signal.Signals
) -> None:
    client = ready(es_ready)
    with receiver() as slack:
        env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, SLACK_WEBHOOK=slack.url)
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            attack(client, "203.0.113.7")
            until(lambda: told(slack, "203.0.113.7") == 1)
            ended(daemon, number)
        with running(env, "scheduler") as again:
            again.says("leading: term 2")
            attack(client, "203.0.113.8")
            until(lambda: told(slack, "203.0.113.8") == 1)
            ended(again)
    assert told(slack, "203.0.113.7") == 1


def test_it_ends_in_time_while_elasticsearch_answers_nothing(es_ready: str, tmp_path: Path) -> None:
    ready(es_ready)
    with fault_proxy(es_ready, "/") as proxy, receiver() as slack:
        env = environment(tmp_path, ELASTICSEARCH_URL=proxy.url, SLACK_WEBHOOK=slack.url)
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            proxy.choose = lambda: Fault(Kind.DELAY, seconds=4 * STOP_SECONDS)
            before = len(proxy.requests)
            until(lambda: len(proxy.requests) > before)
            ended(daemon)


def test_elasticsearch_killed_during_passes_is_waited_for_and_what_happened_meanwhile_is_found(
    mortal_node: TestNode, tmp_path: Path
) -> None:
    node = mortal_node
    with receiver() as slack:
        client = ready(node.url)
        env = environment(
            tmp_path,
            ELASTICSEARCH_URL=node.url,
            SLACK_WEBHOOK=slack.url,
            SIEMLITE_HEALTH="127.0.0.1:0",
            SIEMLITE_INTERVAL="1s",
        )
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            attack(client, "203.0.113.1")
            until(lambda: told(slack, "203.0.113.1") == 1)
            attack(client, "203.0.113.2")
            node.kill()
            daemon.says("waiting for Elasticsearch")
            time.sleep(3)
            node.start()
            until(lambda: told(slack, "203.0.113.2") >= 1)
            ended(daemon)
        said = "".join(daemon.stderr)
        assert said.count("waiting for Elasticsearch") <= 2
        assert "Elasticsearch is back" in said
        assert sorted(a.group[0][1] for a in alerts(client)) == ["203.0.113.1", "203.0.113.2"]


def test_a_start_without_elasticsearch_or_without_setup_waits_and_says_so_and_then_works(
    es_url: str, tmp_path: Path
) -> None:
    with fault_proxy(es_url, "/") as proxy, receiver() as slack:
        proxy.choose = lambda: Fault(Kind.DROP_REQUEST)
        env = environment(tmp_path, ELASTICSEARCH_URL=proxy.url, SLACK_WEBHOOK=slack.url)
        with running(env, "scheduler") as daemon:
            daemon.says("waiting for Elasticsearch")
            proxy.choose = None
            daemon.says("run `siemlite setup`")
            client = connect(Settings(_env_file=None), es_url)
            assert not client.indices.exists(index="security-*", expand_wildcards="all", allow_no_indices=False)
            install(client)
            daemon.says("leading: term 1")
            attack(client, "203.0.113.7")
            until(lambda: told(slack, "203.0.113.7") == 1)
            ended(daemon)


def test_detections_are_reloaded_on_change_and_on_sighup_and_health_is_served(es_ready: str, tmp_path: Path) -> None:
    ready(es_ready)
    own = tmp_path / "detections"
    own.mkdir()
    (own / "mine_1.py").write_text(DETECTION.format(number=1))
    [port] = free_ports(1)
    env = environment(
        tmp_path / "home",
        ELASTICSEARCH_URL=es_ready,
        SIEMLITE_DETECTIONS=str(own),
        SIEMLITE_HEALTH=f"127.0.0.1:{port}",
        SIEMLITE_INTERVAL="1s",
    )

    def watched() -> int:
        try:
            return int(httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json()["detections"])
        except httpx.TransportError:
            return 0

    with running(env, "scheduler") as daemon:
        daemon.says("leading: term 1")
        until(lambda: watched() > 0)
        before = watched()
        (own / "mine_2.py").write_text(DETECTION.format(number=2))
        until(lambda: watched() == before + 1)
        (own / "mine_1.py").write_text("not Python at all")
        daemon.says("mine_1: its new version cannot be loaded; the old one goes on")
        (own / "mine_3.py").write_text(DETECTION.format(number=3))
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: watched() == before + 2)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
        assert "siemlite_leader 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        ended(daemon)


def test_a_service_manager_is_told_that_it_is_ready_alive_and_ending(es_ready: str, tmp_path: Path) -> None:
    ready(es_ready)
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, NOTIFY_SOCKET=path, WATCHDOG_USEC="60000000")
        with running(env, "scheduler") as daemon:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            ended(daemon)
        manager.settimeout(1)
        said = [manager.recv(100)]
        while said[-1] != b"STOPPING=1":
            said.append(manager.recv(100))
