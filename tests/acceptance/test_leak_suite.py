"""The leak suite: planted secrets in every position and disguise, and a search of every byte that was kept or said.

The whole path is walked: files and an application, spools, `security.log`, console, siemlite's own log, the indices,
and alerts. `LEAK_SEED=N` runs with that seed again. The long form is run by `make crash-test`.
"""

import os
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from pipeline.shipping.spools import Spools
from pipeline.shipping.survey import survey
from tests.acceptance.crash import truth
from tests.command import environment, running, siemlite
from tests.property.planted import planted_events

TAIL = 9
_BLOCK = 4 * 1024 * 1024

APPLICATION = """
import logging, sys
from pipeline import SecurityEvent, SecurityLogger
from pipeline.logger.handler import SecurityHandler
from tests.property.planted import planted_events

seed, events = int(sys.argv[1]), int(sys.argv[2])
security = SecurityLogger(service="leaky")
log = logging.getLogger("leaky")
log.setLevel("DEBUG")
log.propagate = False
log.addHandler(SecurityHandler(security))
for number, (event, _) in enumerate(planted_events(seed, events)):
    way = number % 3
    if way == 0:
        security.log(SecurityEvent.ADMIN_ACTION, ip="203.0.113.9", payload=event)
    elif way == 1:
        security.submit({key: value for key, value in event.items() if key != "event"}, SecurityEvent.LOGIN_FAILURE)
    else:
        log.error("%s", event.get("message", "none"), extra={"payload": event})
    if number % 200 == 0:
        assert security.flush(60)
assert security.flush(60)
"""


class Secrets:
    """What must appear nowhere; each is known by its last bytes."""

    def __init__(self) -> None:
        self.count = 0
        self._by_tail: dict[bytes, list[bytes]] = {}

    def add(self, planted: tuple[str, ...]) -> None:
        """Look for these too."""
        for secret in planted:
            raw = secret.encode()
            assert len(raw) >= TAIL
            self._by_tail.setdefault(raw[-TAIL:], []).append(raw)
            self.count += 1

    def within(self, data: bytes, where: str) -> list[str]:
        """Return what of them is in `data`."""
        tails = self._by_tail
        found = []
        for at in range(len(data) - TAIL + 1):
            if data[at : at + TAIL] in tails:
                end = at + TAIL
                found += [
                    f"{where}: {secret!r} in {data[max(0, end - 200) : end + 50]!r}"
                    for secret in tails[data[at:end]]
                    if data.endswith(secret, 0, end) and _stands_alone(data, end - len(secret), end)
                ]
        return found

    def within_file(self, path: Path) -> list[str]:
        """Return what of them is in a file, across blocks."""
        found = []
        kept = b""
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found += self.within(kept + block, path.name)
                kept = (kept + block)[-200:]
        return found


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    """Return whether what stands here is no part of an id or hash that happens to hold the same digits."""
    if not data[start:end].isdigit():
        return True
    return not (data[max(0, start - 1) : start].isalnum() or data[end : end + 1].isalnum())


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    chosen = int(os.environ.get("LEAK_SEED") or secrets.randbits(31))
    with capsys.disabled():
        print(f"\nLEAK_SEED={chosen}", flush=True)
    return chosen


def bodies(home: Path) -> Iterator[bytes]:
    """Yield what the spools of a home hold."""
    spools = Spools(home / "spool", 10**10)
    for path in spools.paths():
        with spools.opened(path) as spool:
            after = 0
            while chunks := spool.take(after, _BLOCK):
                yield b"".join(chunk.body for chunk in chunks)
                after = chunks[-1].id


def depth(home: Path) -> int:
    """Return how many events wait."""
    return sum(spool.events for spool in survey(Spools(home / "spool", 10**10)))


@pytest.mark.parametrize(
    "events", [pytest.param(600, id="short"), pytest.param(100_000, id="long", marks=pytest.mark.long)]
)
def test_no_planted_secret_is_in_any_byte_that_is_kept_or_said(
    es_url: str, tmp_path: Path, seed: int, events: int
) -> None:
    home, half = tmp_path / "home", events // 2
    planted = Secrets()
    source = tmp_path / "events.jsonl"
    with source.open("wb") as file:
        for event, hidden in planted_events(seed, half, json_only=True):
            file.write(orjson.dumps(event) + b"\n")
            planted.add(hidden)
    for _, hidden in planted_events(seed + 1, half):
        planted.add(hidden)
    assert planted.count > events
    assert len(planted.within_file(source)) > half / 2, "what is not found where it surely is proves nothing elsewhere"
    said: list[str] = []
    dead = environment(home, ELASTICSEARCH_URL="http://127.0.0.1:9", SIEMLITE_LOG_LEVEL="debug")
    with running(dead, "ship", str(source)) as ship:
        ship.until(lambda: depth(home) == half, "the file is spooled", seconds=600)
        ship.process.terminate()
        ship.process.wait(30)
    said += ship.stderr + ship.stdout
    log = tmp_path / "security.log"
    loud = {**dead, "SIEMLITE_SECURITY_LOG": str(log), "SIEMLITE_SECURITY_LOG_MAX_BYTES": "4g", "SIEMLITE_CONSOLE": "1"}
    application = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(APPLICATION), str(seed + 1), str(half)],
        env=loud,
        capture_output=True,
        text=True,
        check=False,
    )
    assert application.returncode == 0, application.stderr[-2000:]
    said += [application.stderr, application.stdout]
    assert depth(home) == events

    found = [leak for path in (home / "spool").iterdir() for leak in planted.within_file(path)]
    found += [leak for body in bodies(home) for leak in planted.within(body, "spooled chunks")]
    assert log.stat().st_size > half * 100
    found += planted.within_file(log)

    client = connect(Settings(_env_file=None), es_url)
    install(client)
    live = {**dead, "ELASTICSEARCH_URL": es_url}
    with running(live, "ship") as ship:
        ship.until(lambda: depth(home) == 0, "everything is sent", seconds=600)
        ship.process.terminate()
        ship.process.wait(30)
    said += ship.stderr + ship.stdout
    detected = siemlite(live, "detect", "--from", "2026-01-01", "--to", "2100-01-01", "--json", seconds=600)
    assert detected.returncode == 0, detected.stderr[-2000:]
    listed = siemlite(live, "alerts", "list", "--json")
    said += [detected.stdout, detected.stderr, listed.stdout, listed.stderr]
    found += planted.within("\n".join(said).encode(), "what was said")

    total = 0
    for hit in truth.stored(client, "security-*"):
        total += hit["_index"].startswith("security-logs-")
        found += planted.within(orjson.dumps(hit["_source"]), hit["_index"])
    codes = {"terms": {"field": "event.code", "size": 100}}
    answer = client.search(index="security-logs-*", size=0, track_total_hits=True, aggs={"codes": codes})
    counted = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["codes"]["buckets"]}
    assert counted.keys().isdisjoint({"LOG_GAP", "LEAK_FOUND"}), counted
    assert total == events
    assert client.count(index="security-alerts")["count"] > 0
    assert found == []
