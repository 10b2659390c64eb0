"""What `siemlite status` and `/metrics` say of shipping: depth, age, rates, dead letters, gaps."""

import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from pipeline import SecurityEvent, SecurityLogger
from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings, load_settings
from tests.command import environment, running, siemlite
from tests.node import free_ports


def numbers(address: str) -> dict[str, float]:
    """Return what `/metrics` says, by name and labels."""
    text = httpx.get(f"http://{address}/metrics", trust_env=False, timeout=10).raise_for_status().text
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def logged(home: Path) -> Iterator[SecurityLogger]:
    """An application that logged five events and still runs."""
    security = SecurityLogger(service="shop", settings=load_settings(None, siemlite_home=home))
    for number in range(5):
        security.log(SecurityEvent.LOGIN_FAILURE, user_id=f"u{number}", ip="192.0.2.1")
    assert security.flush()
    yield security
    security.close()


def test_status_shows_depth_age_rates_dead_letters_and_gaps(es_ready: str, home: Path, logged: SecurityLogger) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    gap = {"event": "LOG_GAP", "level": "error", "numbers": {"shed": 7, "shed_info": 5, "shed_warn": 2}}
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    (home.parent / "gap.jsonl").write_text(json.dumps(gap))
    assert siemlite(env, "ship", str(home.parent / "gap.jsonl")).returncode == 0  # sends nothing of the applications'
    client.indices.refresh(index="security-logs-*")
    found = json.loads(siemlite(env, "status", "--json").stdout)
    assert found["events"] == 5
    assert 0 <= found["oldest_seconds"] < 60
    (spool,) = [spool for spool in found["spools"] if spool["events"]]
    assert (spool["written"], spool["sent"], spool["spooled"], spool["settled"]) == (True, False, 5, 0)
    assert found["rates"] == {"spooled": 0.0, "settled": 0.0}
    by_level = {"info": 5, "warn": 2, "error": 0}
    assert found["elasticsearch"] == {"letters": 0, "gaps": 1, "shed": 7, "by_level": by_level}
    text = siemlite(env, "status").stdout
    assert "5 events waiting in all, the oldest for" in text
    assert "gaps in the last 24 hours: 1; 7 events shed (5 info, 2 warn)" in text


def test_status_says_what_it_cannot_know_without_elasticsearch(home: Path, logged: SecurityLogger) -> None:
    env = environment(home, ELASTICSEARCH_URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    done = siemlite(env, "status")
    assert done.returncode == 0
    assert "5 events waiting in all" in done.stdout
    assert "are unknown: " in done.stdout
    assert json.loads(siemlite(env, "status", "--json").stdout)["elasticsearch"] is None


def test_status_shows_how_fast_events_leave(es_ready: str, home: Path, tmp_path: Path) -> None:
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    source = tmp_path / "events.log"
    ended = threading.Event()

    def write() -> None:
        with source.open("a") as file:
            for number in count():
                file.write(json.dumps({"event": "X", "context": {"n": number}}) + "\n")
                file.flush()
                if ended.wait(0.005):
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with running(env, "ship", "--follow", str(source)) as ship:

            def moving() -> bool:
                rates = json.loads(siemlite(env, "status", "--json").stdout)["rates"]
                return bool(rates["spooled"] > 10 and rates["settled"] > 10)

            ship.until(moving, "events come in and leave while status looks")
    finally:
        ended.set()
        writer.join()


def test_a_shipper_serves_its_numbers_and_says_when_it_is_held_up(
    es_url: str, home: Path, logged: SecurityLogger
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    env = environment(home, ELASTICSEARCH_URL=es_url, SIEMLITE_HEALTH=address)
    with running(env, "ship") as ship:
        ship.says("siemlite setup")
        ship.until(lambda: httpx.get(f"http://{address}/healthz", trust_env=False).status_code == 200, "it is live")
        assert httpx.get(f"http://{address}/readyz", trust_env=False).status_code == 503
        waiting = numbers(address)
        assert waiting["siemlite_spool_events"] == 5
        assert waiting["siemlite_shipper_held_up"] == 1
        assert waiting["siemlite_events_stored_total"] == 0
        install(connect(Settings(_env_file=None), es_url))
        ship.until(lambda: numbers(address)["siemlite_spool_events"] == 0, "everything is sent")
        assert httpx.get(f"http://{address}/readyz", trust_env=False).status_code == 200
        after = numbers(address)
        assert after["siemlite_events_stored_total"] == after["siemlite_events_settled_total"] == 5
        assert after["siemlite_events_refused_total"] == 0
        assert after["siemlite_spool_oldest_seconds"] == 0
        assert after["siemlite_leak_samples_total"] >= 1
        assert {"siemlite_dead_letters", "siemlite_log_gaps", "siemlite_spool_bytes"} <= after.keys()
        again = siemlite(env, "ship", "-", stdin=b'{"event": "X"}\n')
        assert again.returncode == 0
        assert "are not served" in again.stderr
        ship.process.terminate()
        assert ship.ends() == 0
