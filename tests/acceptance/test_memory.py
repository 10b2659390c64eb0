"""Shipping a large file needs little memory. `make bench-backlog` shows the same with 1,000,000 lines."""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.command import environment, running, siemlite

LINES = 60_000
LIMIT_KIB = 200 * 1024


def peak_so_far_kib(pid: int) -> int:
    """Return the most memory of a process that was resident; 0 once it has ended. Asking for it starts no process."""
    with suppress(OSError):
        if found := re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE):
            return int(found[1])
    if sys.platform == "linux":
        return 0
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
            peak_kib = max(peak_kib, peak_so_far_kib(ship.process.pid))
            time.sleep(0.05)
        assert ship.process.returncode == 0, ship.stderr
    client = connect(Settings(_env_file=None), es_url)
    client.indices.refresh(index="security-logs-*")
    assert client.count(index="security-logs-*")["count"] == LINES
    assert 10 * 1024 < peak_kib < LIMIT_KIB
