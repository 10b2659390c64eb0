"""`siemlite up` on a fresh machine: it sets everything up, proves itself, and ends cleanly."""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipeline.app.watching import App
from pipeline.detection.timeline import Severity
from pipeline.drill import canary
from pipeline.errors import SiemliteError
from pipeline.events.values import instant_text
from pipeline.node import node_url
from pipeline.node.layout import find
from pipeline.node.orphans import data_in_use
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checks import Checks
from pipeline.scheduler.health import Vitals
from pipeline.settings import load_settings
from pipeline.sources.record import Batch
from pipeline.up import run_everything
from tests.command import Running, environment, running, siemlite
from tests.node import processes_of
from tests.unit.delivery.receiver import receiver
from tests.unit.node.processes import eventually, lives


def _url(up: Running) -> str:
    up.says("Elasticsearch is at ")
    line = next(line for line in up.stderr if "Elasticsearch is at " in line)
    return line.rsplit(" ", 1)[1].strip()


def _end(up: Running) -> None:
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0, up.stderr


def test_the_first_start_proves_itself_and_the_second_keeps_the_data(tmp_path: Path) -> None:
    env = environment(tmp_path / "home", SIEMLITE_INTERVAL="1s")
    log = tmp_path / "app.jsonl"
    log.write_text("")
    with running(env, "up", "--follow", str(log)) as up:
        up.says("drill: brute_force_by_address: fired", seconds=120)
        up.says("add a detection:")
        said = "".join(up.stderr)
        assert re.search(r"alert \d+\.\d s after its events were logged, delivered to console", said)
        for hint in ("log an event:", "follow a file:", "open Kibana:", "add a detection:"):
            assert hint in said
        assert "no channel is configured" in said
        up.until(lambda: any("DRILL" in line for line in up.stderr), "the console shows the drill")
        url = _url(up)
        now = instant_text(time.time_ns() // 1_000_000)
        with log.open("a") as file:
            file.writelines(
                json.dumps({"timestamp": now, "event": "LOGIN_FAILURE", "ip": "192.0.2.99", "password": "hunter2"})
                + "\n"
                for _ in range(5)
            )
        up.until(lambda: any("192.0.2.99" in line for line in up.stderr), "the attack in the followed file is alerted")
        count = httpx.get(f"{url}/security-logs-*/_count").json()["count"]
        assert count == 10, "five of the drill, five of the file"
        _end(up)
        assert "hunter2" not in "".join(up.stdout + up.stderr)

    with running(env, "up") as again:
        url = _url(again)
        assert httpx.get(f"{url}/security-logs-*/_count").json()["count"] == count
        assert not re.search("drill|downloading|unpacking", "".join(again.stderr)), "the first start did that"
        processes = processes_of(tmp_path / "home")
        again.process.kill()
        again.process.wait()
    assert eventually(lambda: not any(lives(pid) for pid in processes)), "the node ends with its parent"
    assert node_url(tmp_path / "home") is None
    assert not data_in_use(find(tmp_path / "home"))


def test_a_drill_is_no_attack_and_a_forged_mark_is(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SIEMLITE_INTERVAL="500ms")
    assert siemlite(env, "setup").returncode == 0
    with running(env, "scheduler"), running(env, "ship"):
        done = siemlite(env, "drill", "--all", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(results) >= 3
        assert all(result["passed"] and result["channels"] == ["console"] for result in results)
        assert "log_gap" in {result["detection_id"] for result in results}
        assert json.loads(siemlite(env, "status", "--json").stdout)["elasticsearch"]["gaps"] == 0
        with httpx.Client(base_url=es_url) as http:
            of_one = {"wildcard": {"siemlite.drill.id": "*.brute_force_by_address"}}
            hits = http.post("/security-logs-*/_search", json={"size": 5, "query": of_one}).json()["hits"]["hits"]
            real = {"bool": {"must_not": {"exists": {"field": "siemlite.drill.id"}}}}
            http.post("/security-alerts/_refresh")
            assert http.post("/security-alerts/_count", json={"query": real}).json()["count"] == 0
            assert len(hits) == 5
            for number, hit in enumerate(hits):
                forged = {**hit["_source"], "source": {"address": "192.0.2.66"}}
                assert http.put(f"/{hit['_index']}/_create/forged-{number}", json=forged).status_code == 201
            for _ in range(200):
                http.post("/security-alerts/_refresh")
                if http.post("/security-alerts/_count", json={"query": real}).json()["count"]:
                    break
                time.sleep(0.1)
            alerts = http.post("/security-alerts/_search", json={"query": real}).json()["hits"]["hits"]
    assert [alert["_source"]["source"]["address"] for alert in alerts] == ["192.0.2.66"]


def test_a_drill_whose_mark_the_leader_would_not_believe_is_refused(es_url: str, tmp_path: Path) -> None:
    leads = environment(tmp_path / "leads", ELASTICSEARCH_URL=es_url, SIEMLITE_INTERVAL="500ms")
    other = environment(tmp_path / "other", ELASTICSEARCH_URL=es_url)
    assert siemlite(leads, "setup").returncode == 0
    with running(leads, "scheduler") as scheduler, running(leads, "ship"):
        scheduler.says("watching with")
        with httpx.Client(base_url=es_url) as http:
            scheduler.until(lambda: http.get("/security-control-v1/_doc/lease:scheduler").is_success, "it leads")
        done = siemlite(other, "drill")
        assert done.returncode == 2
        assert "does not know this home's key for drills" in done.stderr
        (tmp_path / "other" / "keys" / "drill.key").write_bytes(
            (tmp_path / "leads" / "keys" / "drill.key").read_bytes()
        )
        with running(other, "ship"):
            assert siemlite(other, "drill").returncode == 0


def test_a_drill_that_nobody_answers_fails_and_says_why(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    done = siemlite(env, "drill", "--wait", "2")
    assert done.returncode == 1
    assert "NOT PASSED: no alert was raised within 2 s" in done.stdout


def test_a_drill_pages_people_only_when_it_is_told_to(es_url: str, tmp_path: Path) -> None:
    with receiver() as slack:
        env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SIEMLITE_INTERVAL="500ms", SLACK_WEBHOOK=slack.url)
        assert siemlite(env, "setup").returncode == 0
        with running(env, "scheduler"), running(env, "ship"):
            [quiet] = [json.loads(line) for line in siemlite(env, "drill", "--json").stdout.splitlines()]
            assert (quiet["passed"], quiet["channels"]) == (True, ["console"])
            assert 0 <= quiet["alert_seconds"] <= quiet["delivered_seconds"] < 30
            assert slack.requests == []
            [loud] = [json.loads(line) for line in siemlite(env, "drill", "--page", "--json").stdout.splitlines()]
            assert (loud["passed"], loud["channels"]) == (True, ["slack"])
    assert [body["text"].partition("\n")[0] for body in slack.bodies] == [
        "[HIGH] DRILL: Brute-force login from one address"
    ]


def test_a_canary_that_nobody_ships_for_is_an_alert_about_the_monitoring_itself(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    app = App(load_settings(None, elasticsearch_url=es_url, siemlite_home=tmp_path), print)
    checks = Checks(app.clock, Availability(app.clock), Vitals(app.clock, ready_within_s=60))
    checks.canary(canary(app, threading.Event(), wait_seconds=1))
    [trouble] = checks.all()
    assert trouble.severity is Severity.CRITICAL
    assert trouble.text == "brute_force_by_address: NOT PASSED: no alert was raised within 1 s"
    with running(env, "scheduler"), running(env, "ship"):
        checks.canary(canary(app, threading.Event()))
    assert not checks.all()


def test_the_scheduler_plays_its_canary_again_and_again(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SIEMLITE_INTERVAL="500ms", SIEMLITE_CANARY="1s")
    assert siemlite(env, "setup").returncode == 0

    def told() -> list[str]:
        return [line for line in scheduler.stderr if "DRILL: Brute-force login" in line]

    with running(env, "ship"), running(env, "scheduler") as scheduler:
        scheduler.until(lambda: len(told()) >= 3, "three drills of the canary reach the console")
    drills = {"aggs": {"ids": {"cardinality": {"field": "siemlite.drill.id"}}}, "size": 0}
    with httpx.Client(base_url=es_url) as http:
        http.post("/security-logs-*/_refresh")
        found = http.post("/security-logs-*/_search", json=drills).json()["aggregations"]["ids"]["value"]
    assert found >= 3, "each drill is one of its own"


class _Dies:
    """A source whose disk fails."""

    bytes_read = bytes_total = 0

    def batches(self) -> Iterator[Batch]:
        yield Batch()
        raise OSError(5, "Input/output error")


def test_a_part_that_dies_ends_the_others_and_is_named(es_url: str, tmp_path: Path) -> None:
    app = App(load_settings(None, siemlite_home=tmp_path, elasticsearch_url=es_url), lambda _: None)
    stop = threading.Event()
    with pytest.raises(SiemliteError, match=r"the follower ended unexpectedly: OSError: .*Input/output error"):
        run_everything(app, stop, lambda _: _Dies())
    assert stop.is_set()
    assert not {thread.name for thread in threading.enumerate()} & {"scheduler", "follower"}
