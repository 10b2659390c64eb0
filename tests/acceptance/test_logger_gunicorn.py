"""gunicorn with `preload_app`: a logger made and used in the master, used again in forked workers."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.node import free_ports
from tests.unit.logger.support import ROOT, environment, spooled, spooled_with_ids


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_master_and_workers_lose_and_double_nothing_even_when_a_worker_is_killed(tmp_path: Path, worker: str) -> None:
    [port] = free_ports(1)
    arguments = ["--preload", "--workers=2", f"--worker-class={worker}", "--threads=4", f"--bind=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments, "tests.acceptance.applications.gunicorn_application"],
        env=environment(tmp_path),
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    client = httpx.Client(timeout=10, trust_env=False, verify=False)
    url = f"http://127.0.0.1:{port}/"

    def visit(number: int) -> int:
        end = time.monotonic() + 30
        while True:
            try:
                return int(client.get(f"{url}?{number}").text)
            except httpx.TransportError:
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.05)

    try:
        visit(0)
        with ThreadPoolExecutor(8) as pool:
            workers = set(pool.map(visit, range(1, 101)))
        time.sleep(0.5)  # Only what is not yet committed may be lost with a killed worker.
        os.kill(next(iter(workers)), signal.SIGKILL)
        with ThreadPoolExecutor(8) as pool:
            workers |= set(pool.map(visit, range(101, 201)))
    finally:
        client.close()
        process.terminate()
        assert process.wait(30) == 0
    found = spooled_with_ids(tmp_path)
    assert len({event_id for event_id, _ in found}) == len(found)
    documents = spooled(tmp_path)
    counted = Counter(event["event"]["code"] for event in documents)
    assert counted["CONFIG_CHANGE"] == 20
    actions = [event["siemlite"]["data"]["number"] for event in documents if event["event"]["code"] == "ADMIN_ACTION"]
    assert set(actions) == set(range(201))
    # A request that was being served when its worker was killed is asked again, and so may be logged twice.
    assert len(actions) <= 201 + 8
    assert counted["HTTP_REQUEST"] in range(len(actions) - 8, len(actions) + 1)
    assert len(list((tmp_path / "spool").glob("*.db"))) == len(workers) + 1
