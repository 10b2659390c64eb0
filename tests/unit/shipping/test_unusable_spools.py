"""Spools that are damaged, foreign, newer or broken: named once, set aside if need be, and nobody else's trouble."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from pipeline.clock import SystemClock
from pipeline.shipping.collector import Collector
from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.letters import DeadLetters
from pipeline.shipping.locks import FileLock
from pipeline.shipping.queue import Queues
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spool import Chunk, Depth, Spool
from pipeline.shipping.spools import Spools
from pipeline.shipping.survey import survey

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("content", [b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_damaged_readers_spool_is_passed_over(tmp_path: Path, content: bytes) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    kept = spools.for_reader(), spools.for_reader()
    kept[1].spool.append([], {"a": "1"}, 1)
    for owned in kept:
        owned.close()
    kept[0].spool.path.write_bytes(content)
    assert spools.for_reader().spool.path == kept[1].spool.path
    assert spools.positions() == {"a": "1"}
    (status,) = [spool for spool in survey(spools) if spool.trouble]
    assert (status.name, "damaged" in status.trouble, status.written) == ("files-1", True, False)


def test_a_spool_whose_pages_are_damaged_is_passed_over_and_set_aside(tmp_path: Path) -> None:
    told = Told(tmp_path)
    owned = told.spools.for_reader()
    for number in range(40):
        owned.spool.append([Chunk(bytes([number]) * 20_000, 1)], {"a": str(number)}, 1)
    owned.spool.fold()
    path = owned.spool.path
    owned.close()
    content = path.read_bytes()
    path.write_bytes(content[:16384] + b"\xa5" * (len(content) - 16384))  # A bad part of the disk, the header intact.
    assert told.spools.for_reader().spool.path.name == "files-2.db"
    (status,) = [spool for spool in survey(told.spools) if spool.trouble]
    assert "damaged" in status.trouble
    for _ in range(3):
        told.collector.look()
    assert [path.name for path in tmp_path.glob("*.damaged")] == ["files-1.damaged"]
    assert len(told.said) == 1


def test_what_is_set_aside_never_takes_the_place_of_what_was_before(tmp_path: Path) -> None:
    told = Told(tmp_path)
    for content in (b"first" * 1_000, b"second" * 1_000):
        (tmp_path / "a.db").write_bytes(content)
        told.collector.look()
    assert (tmp_path / "a.damaged").read_bytes() == b"first" * 1_000
    assert (tmp_path / "a.2.damaged").read_bytes() == b"second" * 1_000
    assert len(told.said) == 2


def test_a_spool_that_breaks_while_it_is_adopted_is_set_aside_once_its_writer_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(tmp_path)
    owned = told.spools.for_reader()
    told.collector.look()

    def broken(self: Spool) -> Depth:
        raise UnusableSpoolError(f"spool {self.path} is damaged", damaged=True)

    monkeypatch.setattr(Spool, "depth", broken)
    for _ in range(3):
        told.collector.look()
    assert len(told.said) == 1
    assert owned.spool.path.exists()
    owned.lock.release()
    told.collector.look()
    assert [path.name for path in tmp_path.glob("*.damaged")] == ["files-1.damaged"]


def test_a_lock_that_belongs_to_somebody_else_is_named_and_keeps_nothing_else_from_being_sent() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make files of somebody else's")
    script = """
        import os, sys
        from pathlib import Path
        from tests.unit.shipping.test_unusable_spools import Chunk, FileLock, Spool, Told, survey
        os.chown(sys.argv[1], 65534, 65534)
        for name in ("a.lock", "b.lock", "b.send", "files-1.lock", "gone.lock"):
            Path(sys.argv[1], name).touch(0o600)
        os.setgid(65534)
        os.setuid(65534)
        for name in ("a", "b", "c"):
            Spool(Path(sys.argv[1], f"{name}.db"), max_bytes=10**6).append([Chunk(b"x", 1)], {}, 1)
        told = Told(Path(sys.argv[1]))
        for _ in range(3):
            told.collector.look()
        print([name for name in "abc" if FileLock(Path(sys.argv[1], f"{name}.send")).taken()])
        print(len(told.said), "b.send is not this user's" in told.said[0])
        print(len(survey(told.spools)), told.spools.for_reader().spool.path.name)
    """
    with tempfile.TemporaryDirectory() as folder:  # Not pytest's, into which nobody else may look.
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), folder], capture_output=True, text=True, check=False
        )
    assert done.stdout == "['a', 'b', 'c']\n1 True\n3 files-2.db\n", done.stderr


class Told:
    """A shipper that sends nothing, a collector of its spools, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        client = Elasticsearch("http://127.0.0.1:9")
        self.shipper = Shipper(client, DeadLetters(client, folder), SystemClock(), notify=self.said.append)
        self.spools = Spools(folder, MEGABYTE)
        self.collector = Collector(self.spools, self.shipper, SystemClock(), self.said.append)


def test_a_spool_that_cannot_be_used_is_named_once_and_keeps_no_other_from_being_sent(tmp_path: Path) -> None:
    told = Told(tmp_path)
    (tmp_path / "0.db").write_bytes(b"no database" * 1_000)
    db = sqlite3.connect(tmp_path / "1.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    owned = told.spools.for_writer()
    owned.spool.append([Chunk(b"x", 1)], {}, 1)
    for _ in range(3):
        told.collector.look()
    assert FileLock(owned.spool.path.with_suffix(".send")).taken()
    assert not FileLock(tmp_path / "1.send").taken()
    aside, newer = sorted(told.said, key=len, reverse=True)
    assert str(tmp_path / "0.damaged") in aside
    assert "newer siemlite" in newer
    assert (tmp_path / "0.damaged").read_bytes() == b"no database" * 1_000
    assert not (tmp_path / "0.db").exists()


def test_a_damaged_spool_with_a_writer_is_left_to_it(tmp_path: Path) -> None:
    told = Told(tmp_path)
    writer = FileLock(tmp_path / "a.lock")
    assert writer.acquire()
    (tmp_path / "a.db").write_bytes(b"no database" * 1_000)
    for _ in range(3):
        told.collector.look()
    assert len(told.said) == 1
    writer.release()
    told.collector.look()
    assert (tmp_path / "a.damaged").exists()


def test_a_spool_that_breaks_while_it_is_sent_is_left_alone_for_a_while_and_the_others_are_not(tmp_path: Path) -> None:
    queues = Queues()
    broken, well = (Spool(tmp_path / f"{name}.db", max_bytes=MEGABYTE) for name in "ab")
    for each in (broken, well):
        each.append([Chunk(b"x", 1)], {}, 1)
        queues.add(each)
    broken.close()
    found: list[tuple[Spool, Exception]] = []
    claim = queues.claim(10.0, 100, found)
    assert claim is not None
    assert claim.spool is well
    assert [spool for spool, _ in found] == [broken]
    assert queues.rest(broken, "why", 15.0)
    assert not queues.rest(broken, "why", 15.0)
    found.clear()
    assert queues.claim(14.0, 100, found) is None
    assert found == []
    assert queues.claim(15.0, 100, found) is None
    assert len(found) == 1
