"""A secret that gets past redaction is found among what was sent, and is told as a security event of its own."""

import subprocess
import sys
from pathlib import Path

import orjson

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import environment, siemlite

SECRET = "hunter2-S3CR3T7"
_BLIND = """
import sys
from collections import defaultdict
import pipeline.app.shipping
from pipeline.cli.main import main
from pipeline.events.redaction import Redactor

class Blind(Redactor):
    def __init__(self, *further):
        super().__init__(*further)
        self.keys = lambda tree: tree
        self.nested = lambda value, containers: value
        self.verdicts = defaultdict(int)

    def suspects(self, bodies):
        return []

pipeline.app.shipping.Redactor = Blind
sys.exit(main(sys.argv[1:]))
"""
"""The command with a redactor that lets everything through."""


def test_a_leak_past_the_redactor_is_found_in_what_was_sent_and_alerted(es_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    source = tmp_path / "events.jsonl"
    event = {"timestamp": "2026-11-24T08:00:00Z", "event": "ADMIN_ACTION", "service": "shop"}
    source.write_bytes(orjson.dumps({**event, "context": {"body": {"password": SECRET}}}) + b"\n")
    done = subprocess.run(
        [sys.executable, "-c", _BLIND, "ship", str(source)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    client = connect(Settings(_env_file=None), es_url)
    client.indices.refresh(index="security-logs-*")
    hits = client.search(index="security-logs-*", query={"term": {"event.code": "LEAK_FOUND"}})["hits"]["hits"]
    (found,) = [hit["_source"] for hit in hits]
    assert found["service"]["name"] == "shop"
    assert found["event"]["reason"] == "named_secret"
    assert found["siemlite"]["data"]["leak"]["place"] == "siemlite.data.body.password"
    assert SECRET not in orjson.dumps(found).decode() + done.stderr + done.stdout
    day = ("--from", "2026-01-01", "--to", "2100-01-01")
    detected = siemlite(env, "detect", *day, "--id", "secret_leaked", "--dry-run", "--json")
    assert orjson.loads(detected.stdout)["groups"] == 1, detected.stdout
