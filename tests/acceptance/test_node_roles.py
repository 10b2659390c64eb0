"""What the compose file permits shipper and scheduler is what they need and nothing else.

Its roles are tried on a real server with security on. That server is the embedded one, whose users lie in files.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from pipeline.elastic.client import ForbiddenError, connect
from pipeline.elastic.compare_and_set import CONTROL_INDEX, Create, create, write_many
from pipeline.settings import load_settings
from tests.command import environment, running, siemlite
from tests.node import QUICK, TestNode, free_ports, temporary_node
from tests.unit.test_compose import SERVICES

PASSWORD = "changeme-in-tests"
# That password as `elasticsearch-users useradd` writes it: bcrypt.
HASH = "$2a$10$hiBr5QGszAl1Ocg1vwVuoOe1pAqSvlqQ1KYhSOnDOJWmfbW4CXgx."
DAY = datetime(2024, 5, 17, tzinfo=UTC)


@pytest.fixture(scope="module")
def guarded() -> Iterator[TestNode]:
    """Return a server with security on, and set up as the setup service does."""
    roles = {
        "siemlite_shipper": json.loads(SERVICES["accounts"]["environment"]["SHIPPER_ROLE"]),
        "siemlite_scheduler": json.loads(SERVICES["accounts"]["environment"]["SCHEDULER_ROLE"]),
        "health": {"cluster": ["monitor"]},
    }
    granted = {"superuser": "root", "siemlite_shipper": "siemlite_shipper", "siemlite_scheduler": "siemlite_scheduler"}
    options = replace(
        QUICK,
        settings={
            "xpack.security.enabled": True,
            # So that the node can be asked whether it is up.
            "xpack.security.authc.anonymous.username": "anonymous",
            "xpack.security.authc.anonymous.roles": "health",
        },
        files={
            "roles.yml": "".join(f"{name}: {json.dumps(role)}\n" for name, role in roles.items()),
            "users": "".join(f"{user}:{HASH}\n" for user in granted.values()),
            "users_roles": "".join(f"{role}:{user}\n" for role, user in granted.items()),
        },
    )
    with temporary_node(options=options) as node:
        yield node


def acting_as(user: str, node: TestNode, home: Path) -> dict[str, str]:
    return environment(home, ELASTICSEARCH_URL=node.url, ES_USER=user, ES_PASSWORD=PASSWORD)


def as_root(node: TestNode) -> httpx.Client:
    return httpx.Client(base_url=node.url, auth=("root", PASSWORD), timeout=60)


@pytest.fixture
def attacked(guarded: TestNode, tmp_path: Path) -> TestNode:
    """Return the server with a brute-force attack in it, brought there by setup and shipper."""
    done = siemlite(acting_as("root", guarded, tmp_path), "setup")
    assert done.returncode == 0, done.stderr
    lines = [
        {
            "timestamp": (DAY + timedelta(seconds=second)).isoformat(),
            "level": "warn",
            "event": "LOGIN_FAILURE",
            "service": "auth-api",
            "context": {"ip": "203.0.113.9", "userId": f"u{second}"},
        }
        for second in range(8)
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = siemlite(acting_as("siemlite_shipper", guarded, tmp_path), "ship", str(tmp_path / "events.jsonl"))
    assert done.returncode == 0, done.stderr
    return guarded


def test_the_shipper_stores_events_and_may_do_nothing_else(attacked: TestNode) -> None:
    with as_root(attacked) as root:
        root.post("/security-logs-*/_refresh").raise_for_status()
        stored = root.post("/security-logs-*/_search", json={"query": {"match_all": {}}}).json()["hits"]["hits"]
    assert stored
    index, event = stored[0]["_index"], stored[0]["_id"]
    with httpx.Client(base_url=attacked.url, auth=("siemlite_shipper", PASSWORD), timeout=60) as shipper:
        for method, path, body in [
            ("POST", f"/{index}/_search", {}),
            ("GET", f"/{index}/_doc/{event}", None),
            ("POST", f"/{index}/_update/{event}", {"doc": {"message": "nothing happened"}}),
            ("PUT", f"/{index}/_doc/{event}", {"message": "nothing happened"}),
            ("DELETE", f"/{index}/_doc/{event}", None),
            ("DELETE", f"/{index}", None),
            ("PUT", "/security-alerts-v1/_create/1", {}),
            ("PUT", "/security-control-v1/_doc/1", {}),
            ("PUT", "/_index_template/security-logs", {"index_patterns": ["x-*"]}),
        ]:
            assert shipper.request(method, path, json=body).status_code == 403, (method, path)


def test_the_scheduler_raises_alerts_and_may_not_touch_events(attacked: TestNode, tmp_path: Path) -> None:
    scheduler = acting_as("siemlite_scheduler", attacked, tmp_path)
    done = siemlite(scheduler, "detect", "--from", "2024-05-17", "--to", "2024-05-18", "--json")
    assert done.returncode == 0, done.stderr
    with as_root(attacked) as root:
        root.post("/security-alerts-*/_refresh").raise_for_status()
        alerts = root.post("/security-alerts/_search", json={"query": {"match_all": {}}}).json()["hits"]["hits"]
        index = root.get("/_cat/indices/security-logs-*?format=json").json()[0]["index"]
    assert any("brute_force" in alert["_source"]["rule"]["id"] for alert in alerts)
    with httpx.Client(base_url=attacked.url, auth=("siemlite_scheduler", PASSWORD), timeout=60) as forbidden:
        for method, path, body in [
            ("POST", f"/{index}/_doc", {"message": "an invented event"}),
            ("POST", f"/{index}/_update/1", {"doc": {"message": "nothing happened"}}),
            ("DELETE", f"/{index}/_doc/1", None),
            ("DELETE", f"/{index}", None),
            ("PUT", "/_index_template/security-logs", {"index_patterns": ["x-*"]}),
        ]:
            assert forbidden.request(method, path, json=body).status_code == 403, (method, path)


def test_the_daemon_runs_passes_with_its_role_and_ends_on_sigterm(attacked: TestNode, tmp_path: Path) -> None:
    scheduler = acting_as("siemlite_scheduler", attacked, tmp_path)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with running({**scheduler, "SIEMLITE_HEALTH": address}, "scheduler") as daemon:

        def ready() -> bool:
            try:
                return httpx.get(f"http://{address}/readyz", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        daemon.until(ready, "ready", 90)
        daemon.process.terminate()
        assert daemon.process.wait(30) == 0
    assert not [line for line in daemon.stderr if "403" in line]


def test_who_may_make_indices_and_no_aliases_can_make_those_of_alerts_and_control_again(
    attacked: TestNode, tmp_path: Path
) -> None:
    with as_root(attacked) as root:
        root.delete("/security-alerts-v1,security-control-v1").raise_for_status()
        done = siemlite(acting_as("siemlite_scheduler", attacked, tmp_path), "setup")
        assert done.returncode == 0, done.stderr
        assert root.get("/security-alerts/_search").json()["hits"]["hits"] == []


def test_a_privilege_that_is_missing_is_named_wherever_it_is_missed(attacked: TestNode, tmp_path: Path) -> None:
    shipper = acting_as("siemlite_shipper", attacked, tmp_path)
    day = ("--from", "2024-05-17", "--to", "2024-05-18")
    for command, action in [
        (("dead-letters", "list"), "indices:admin/refresh"),
        (("check",), "indices:admin/get"),
        (("alerts", "list"), "indices:admin/refresh"),
        (("silence", "list"), "indices:data/read/search"),
        (("silence", "expire", "x"), "indices:data/read/mget"),
        (("detect", *day, "--id", "root_login"), "indices:monitor/stats"),
    ]:
        done = siemlite(shipper, *command)
        assert done.returncode != 0, command
        assert f"(403): action [{action}] needs one of the index privileges [" in done.stdout + done.stderr
        assert "]; give their role one, or check ES_USER" in done.stdout + done.stderr
    writer = connect(load_settings(None, es_user="siemlite_shipper", es_password=SecretStr(PASSWORD)), attacked.url)
    for write in (
        lambda: write_many(writer, CONTROL_INDEX, [Create("x", {})]),
        lambda: create(writer, CONTROL_INDEX, "x", {}),
    ):
        with pytest.raises(
            ForbiddenError, match=r"\(403\): action \[indices:data/write/bulk\[s\]\] needs one of the index"
        ):
            write()
    writer.close()


def test_a_wrong_password_is_one_line_and_exit_2(guarded: TestNode, tmp_path: Path) -> None:
    wrong = {**acting_as("siemlite_shipper", guarded, tmp_path), "ES_PASSWORD": "wrong"}
    (tmp_path / "empty.jsonl").write_text("")
    done = siemlite(wrong, "ship", str(tmp_path / "empty.jsonl"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ES_PASSWORD" in done.stderr
