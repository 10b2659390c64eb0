"""`siemlite dead-letters`: what was refused is seen, and sent again once its cause is mended."""

import json
from pathlib import Path
from typing import Any

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from pipeline.shipping.letters import DeadLetters, Letter
from pipeline.shipping.replay import Replayed, replay
from tests.command import environment, siemlite
from tests.proxy import Fault, Kind, fault_proxy

INDEX = "security-logs-2026.11.24"
NOW = 1_795_485_600_000
EVENT = {"timestamp": "2026-11-24T08:00:00Z", "event": "LOGIN_FAILURE", "context": {"ip": "192.0.2.1"}}


def shallow(levels: int) -> dict[str, dict[str, Any]]:
    """Return a mapping whose metadata may be so deep."""
    data = {"type": "flattened", "depth_limit": levels}
    return {"properties": {"siemlite": {"properties": {"data": data}}}}


def test_a_refused_event_counts_is_listed_and_stands_whole_after_replay(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    client.indices.create(index=INDEX, mappings=shallow(2))
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_ready)
    deep = {**EVENT, "context": {"ip": "192.0.2.1", "a": {"b": {"c": {"d": "kept"}}}}}
    source = tmp_path / "events.jsonl"  # from which events keep their time, however old they are
    source.write_text("".join(json.dumps(event) + "\n" for event in (EVENT, deep, EVENT)))
    done = siemlite(env, "ship", "--json", str(source))
    assert json.loads(done.stdout) == {"read": 3, "stored": 2, "refused": 1, "waiting": 0}
    client.indices.refresh(index=INDEX)
    counts = {"bool": {"filter": [{"term": {"event.code": "LOGIN_FAILURE"}}, {"term": {"source.ip": "192.0.2.1"}}]}}
    assert client.count(index=INDEX, query=counts)["count"] == 3
    (letter,) = map(json.loads, siemlite(env, "dead-letters", "list", "--json").stdout.splitlines())
    assert "depth" in letter["reason"]
    again = siemlite(env, "dead-letters", "replay", "--json")
    result = json.loads(again.stdout)
    assert (again.returncode, result["stored"], result["refused"]) == (1, 0, 1)
    assert "failed to parse field [siemlite.data]" in result["reason"]
    assert json.loads(siemlite(env, "status", "--json").stdout)["elasticsearch"]["letters"] == 1
    client.indices.put_mapping(index=INDEX, properties=shallow(20)["properties"])
    for _ in range(2):
        assert siemlite(env, "dead-letters", "replay").returncode == 0
    client.indices.refresh(index=INDEX)
    whole = client.get(index=INDEX, id=letter["event_id"])["_source"]
    assert whole["siemlite"]["data"]["a"] == {"b": {"c": {"d": "kept"}}}
    assert client.count(index=INDEX)["count"] == 3
    assert siemlite(env, "dead-letters", "list", "--json").stdout == ""


def test_letters_that_cannot_be_stored_hold_up_no_other(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_ready)
    days = [f"2026-11-{day}" for day in (20, 21, 22, 23)]
    deep = {"ip": "192.0.2.1", "a": {"b": {"c": {"d": "kept"}}}}
    for day in days:
        client.indices.create(index=f"security-logs-{day.replace('-', '.')}", mappings=shallow(2))
    source = tmp_path / "events.jsonl"  # from which events keep their time, however old they are
    lines = [json.dumps({**EVENT, "timestamp": f"{day}T08:00:00Z", "context": deep}) for day in days]
    source.write_text("\n".join(lines))
    done = siemlite(env, "ship", "--json", str(source))
    assert json.loads(done.stdout) == {"read": 4, "stored": 0, "refused": 4, "waiting": 0}
    closed, blocked, gone, mended = (f"security-logs-{day.replace('-', '.')}" for day in days)
    client.indices.put_mapping(index=[blocked, mended], properties=shallow(20)["properties"])
    client.indices.close(index=closed)
    client.indices.add_block(index=blocked, block="write")
    client.indices.delete(index=gone)
    again = siemlite(env, "dead-letters", "replay", "--json")
    result = json.loads(again.stdout)
    assert (again.returncode, result["stored"], result["refused"]) == (1, 2, 2)
    assert closed in result["reason"]
    client.indices.open(index=closed)
    client.indices.put_mapping(index=closed, properties=shallow(20)["properties"])
    client.indices.put_settings(index=blocked, settings={"index.blocks.write": False})
    again = siemlite(env, "dead-letters", "replay", "--json")
    assert json.loads(again.stdout) == {"stored": 2, "refused": 0, "reason": ""}


def test_a_letter_of_the_local_file_is_done_once_it_was_replayed(es_ready: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    client = connect(Settings(_env_file=None), es_ready)
    body = {"@timestamp": "2026-11-24T08:00:00.000Z", "event": {"id": "id-1", "code": "LOGOUT"}}
    away = connect(Settings(_env_file=None), "http://127.0.0.1:9")
    DeadLetters(away, home).keep([Letter("id-1", INDEX, "why", json.dumps(body), 1)])
    env = environment(home, ELASTICSEARCH_URL=es_ready)
    assert json.loads(siemlite(env, "dead-letters", "replay", "--json").stdout)["stored"] == 1
    assert client.get(index=INDEX, id="id-1")["_source"]["event"]["code"] == "LOGOUT"
    client.indices.delete(index=INDEX)
    assert json.loads(siemlite(env, "dead-letters", "replay", "--json").stdout)["stored"] == 0
    assert not client.indices.exists(index=INDEX), "what has expired is not brought back"
    assert siemlite(env, "dead-letters", "list", "--json").stdout == ""
    (letter,) = map(json.loads, siemlite(env, "dead-letters", "list", "--replayed", "--json").stdout.splitlines())
    assert (letter["event_id"], letter["state"]) == ("id-1", "replayed")
    assert json.loads(siemlite(env, "status", "--json").stdout)["local_dead_letters"] == 0


def test_the_local_letters_are_listed_while_elasticsearch_is_away(tmp_path: Path) -> None:
    home = tmp_path / "home"
    client = connect(Settings(_env_file=None), "http://127.0.0.1:9")
    DeadLetters(client, home).keep([Letter("id-1", INDEX, "why", "{}", 1)])
    done = siemlite(environment(home, ELASTICSEARCH_URL="http://127.0.0.1:9"), "dead-letters", "list", "--json")
    (letter,) = map(json.loads, done.stdout.splitlines())
    assert (letter["event_id"], letter["reason"], letter["where"]) == ("id-1", "why", "file")
    assert done.returncode != 0
    assert "does not answer" in done.stderr


def test_many_letters_are_replayed_in_few_requests_and_once(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    day = "security-logs-2026.01.01"
    letters = [
        Letter(f"id-{n:03d}", day, "why", '{"@timestamp":"2026-01-01T00:00:00.000Z","message":"x"}', NOW + n)
        for n in range(450)
    ]
    DeadLetters(client, tmp_path).keep(letters)
    tried: list[int] = []
    assert replay(client, tmp_path, NOW, tried.append) == Replayed(450, 0)
    assert tried == [200, 400, 450]
    client.indices.refresh(index=f"{day},security-dead-letters-v1")
    assert client.count(index=day)["count"] == 450
    assert replay(client, tmp_path, NOW) == Replayed(0, 0)


def test_letters_are_replayed_in_smaller_requests_where_those_are_too_large(es_ready: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_ready)
    day = "security-logs-2026.01.01"
    document = '{"@timestamp":"2026-01-01T00:00:00.000Z","message":"x"}'
    DeadLetters(client, tmp_path).keep([Letter(f"id-{n}", day, "why", document, NOW + n) for n in range(7)])
    with fault_proxy(es_ready) as proxy:
        proxy.choose = lambda: Fault(Kind.STATUS, 413)
        behind = connect(Settings(_env_file=None), proxy.url)
        assert replay(behind, tmp_path, NOW) == Replayed(7, 0)
    assert replay(client, tmp_path, NOW) == Replayed(0, 0)
