"""Shipping a large file needs little memory. `make bench-backlog` shows the same with 1,000,000 lines."""

import json
import subprocess
import time
from pathlib import Path

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import environment, running, siemlite

LINES = 100_000
LIMIT_KIB = 200 * 1024


def resident_kib(pid: int) -> int:
    """Return the memory of a process that is resident now; 0 once it has ended."""
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(shown.strip() or 0)


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
    peak_kib = 0
    with running(env, "ship", str(source)) as ship:
        while ship.process.poll() is None:
            peak_kib = max(peak_kib, resident_kib(ship.process.pid))
            time.sleep(0.02)
        assert ship.process.returncode == 0, ship.stderr
    client = connect(Settings(_env_file=None), es_url)
    client.indices.refresh(index="security-logs-*")
    assert client.count(index="security-logs-*")["count"] == LINES
    assert 10 * 1024 < peak_kib < LIMIT_KIB
