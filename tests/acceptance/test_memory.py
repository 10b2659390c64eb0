"""Shipping a large file needs little memory. `make bench-backlog` shows the same with 1,000,000 lines."""

import json
import os
import sys
from pathlib import Path

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import COMMAND, environment, siemlite

LINES = 100_000
LIMIT_KIB = 200 * 1024


def test_shipping_a_large_file_stays_under_200_megabytes(es_url: str, tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    with source.open("w") as file:
        for number in range(LINES):
            event = {
                "timestamp": "2026-11-20T08:00:00Z",
                "event": "LOGIN_FAILURE",
                "message": f"Login failed for user {number}",
                "context": {"userId": f"u{number}", "ip": f"198.51.100.{number % 256}", "body": {"n": "x" * 200}},
            }
            file.write(json.dumps(event) + "\n")
    env = environment(tmp_path / "home", ELASTICSEARCH_URL=es_url)
    assert siemlite(env, "setup").returncode == 0
    child = os.posix_spawn(sys.executable, [*COMMAND, "ship", str(source)], env)
    _, status, usage = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    client = connect(Settings(_env_file=None), es_url)
    client.indices.refresh(index="security-logs-*")
    assert client.count(index="security-logs-*")["count"] == LINES
    peak_kib = usage.ru_maxrss // 1024 if sys.platform == "darwin" else usage.ru_maxrss
    assert peak_kib < LIMIT_KIB
