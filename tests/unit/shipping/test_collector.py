"""Many spools at once: few are open, and all have their turn."""

from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from pipeline.shipping import collector as collecting
from pipeline.shipping.collector import TURN_SECONDS, Collector
from pipeline.shipping.letters import DeadLetters
from pipeline.shipping.locks import FileLock
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spool import Chunk
from pipeline.shipping.spools import Spools
from tests.unit.clocks import ManualClock

MEGABYTE = 1024 * 1024


def test_of_many_spools_few_are_open_and_all_have_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "AT_ONCE", 3)
    clock, said = ManualClock(), list[str]()
    client = Elasticsearch("http://127.0.0.1:9")
    shipper = Shipper(client, DeadLetters(client, tmp_path), clock, notify=said.append)
    spools = Spools(tmp_path, MEGABYTE)
    for _ in range(7):
        owned = spools.for_writer()
        owned.spool.append([Chunk(b"x", 1)], {}, 1)
        owned.close()
    idle = spools.for_writer()
    collector = Collector(spools, shipper, clock, said.append)
    seen: set[str] = set()
    for _ in range(8):
        collector.look()
        taken = [path.stem for path in tmp_path.glob("*.db") if FileLock(path.with_suffix(".send")).taken()]
        assert len(taken) == 3
        seen.update(taken)
        clock.advance(TURN_SECONDS)
    assert seen == {path.stem for path in spools.paths()}
    collector.stop()
    idle.close()
    assert said == []
