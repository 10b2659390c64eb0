"""`siemlite dead-letters`: what was refused is seen, and sent again once its cause is mended."""

import json
from pathlib import Path
from typing import Any

from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from tests.command import environment, siemlite

INDEX = "security-logs-2026.11.24"
EVENT = {"timestamp": "2026-11-24T08:00:00Z", "event": "LOGIN_FAILURE", "context": {"ip": "192.0.2.1"}}


def shallow(levels: int) -> dict[str, dict[str, Any]]:
    """Return a mapping whose metadata may be so deep."""
    data = {"type": "flattened", "depth_limit": levels}
    return {"properties": {"siemlite": {"properties": {"data": data}}}}


def test_a_refused_event_counts_is_listed_and_stands_whole_after_replay(es_url: str, tmp_path: Path) -> None:
    client = connect(Settings(_env_file=None), es_url)
    install(client)
    client.indices.create(index=INDEX, mappings=shallow(2))
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_url)
    deep = {**EVENT, "context": {"ip": "192.0.2.1", "a": {"b": {"c": {"d": "kept"}}}}}
    lines = "".join(json.dumps(event) + "\n" for event in (EVENT, deep, EVENT))
    done = siemlite(env, "ship", "--json", "-", stdin=lines.encode())
    assert json.loads(done.stdout) == {"read": 3, "stored": 3, "refused": 1, "waiting": 0}
    client.indices.refresh(index=INDEX)
    counts = {"bool": {"filter": [{"term": {"event.code": "LOGIN_FAILURE"}}, {"term": {"source.ip": "192.0.2.1"}}]}}
    assert client.count(index=INDEX, query=counts)["count"] == 3
    (letter,) = map(json.loads, siemlite(env, "dead-letters", "list", "--json").stdout.splitlines())
    assert "depth" in letter["reason"]
    again = siemlite(env, "dead-letters", "replay", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (1, {"stored": 0, "refused": 1})
    assert json.loads(siemlite(env, "status", "--json").stdout)["elasticsearch"]["letters"] == 1
    client.indices.put_mapping(index=INDEX, properties=shallow(20)["properties"])
    for _ in range(2):
        assert siemlite(env, "dead-letters", "replay").returncode == 0
    client.indices.refresh(index=INDEX)
    whole = client.get(index=INDEX, id=letter["event_id"])["_source"]
    assert whole["siemlite"]["data"]["a"] == {"b": {"c": {"d": "kept"}}}
    assert client.count(index=INDEX)["count"] == 3
    assert siemlite(env, "dead-letters", "list", "--json").stdout == ""
