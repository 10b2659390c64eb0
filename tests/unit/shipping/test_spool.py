"""The promises of the spool."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.shipping import forks
from pipeline.shipping.database import _FORMATS
from pipeline.shipping.locks import FileLock
from pipeline.shipping.reserve import Reserve
from pipeline.shipping.spool import Chunk, Spool, SpoolFullError
from pipeline.shipping.spools import Spools

MEGABYTE = 1024 * 1024


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "a.db", max_bytes=MEGABYTE)


def bodies(spool: Spool) -> list[bytes]:
    return [chunk.body for chunk in spool.take(0, 10**9)]


def test_chunks_come_back_in_the_order_they_went_in(spool: Spool) -> None:
    spool.append([Chunk(b"1", 1), Chunk(b"2", 1)], {}, 5)
    spool.append([Chunk(b"3", 1)], {}, 6)
    assert bodies(spool) == [b"1", b"2", b"3"]
    assert [chunk.spooled_ms for chunk in spool.take(0, 10**9)] == [5, 5, 6]


def test_a_settled_chunk_is_gone_and_its_remainder_takes_its_place_and_age(spool: Spool) -> None:
    spool.append([Chunk(b"12", 2)], {}, 5)
    (ids,) = [spool.settle(spool.take(0, 10), [Chunk(b"2", 1)])]
    (left,) = spool.take(0, 10)
    assert (left.id, left.body, left.spooled_ms) == (ids[0], b"2", 5)
    spool.settle([left])
    assert spool.depth().events == 0


def test_ids_are_never_used_again(spool: Spool) -> None:
    spool.append([Chunk(b"1", 1)], {}, 1)
    (first,) = spool.take(0, 10)
    spool.settle([first])
    spool.append([Chunk(b"2", 1)], {}, 1)
    assert spool.take(0, 10)[0].id > first.id


def test_take_stays_within_its_bytes_but_always_takes_one(spool: Spool) -> None:
    spool.append([Chunk(b"x" * 10, 1) for _ in range(3)], {}, 1)
    assert len(spool.take(0, 25)) == 2
    assert len(spool.take(0, 1)) == 1
    first = spool.take(0, 1)[0].id
    assert [chunk.id for chunk in spool.take(0, 100, skip={first})] == [first + 1, first + 2]


def test_a_full_spool_takes_nothing_and_moves_no_position(spool: Spool) -> None:
    spool.append([Chunk(b"x" * (MEGABYTE - 5), 7)], {"file": "1"}, 1)
    with pytest.raises(SpoolFullError, match="SIEMLITE_SPOOL_MAX_BYTES"):
        spool.append([Chunk(b"y" * 6, 1)], {"file": "2"}, 1)
    assert spool.positions() == {"file": (1, "1")}
    assert spool.depth().events == 7


class BreaksOff:
    """A set of ids whose look-up fails: what interrupts a reading halfway."""

    def __contains__(self, chunk_id: object) -> bool:
        raise KeyboardInterrupt


def test_a_reading_that_ended_early_never_stands_in_the_way_of_settling(tmp_path: Path) -> None:
    writer, sender = (Spool(tmp_path / "a.db", max_bytes=MEGABYTE) for _ in range(2))
    writer.append([Chunk(b"1", 1), Chunk(b"2", 1)], {}, 1)
    (first,) = sender.take(0, 1)
    with pytest.raises(KeyboardInterrupt) as held:  # The traceback keeps the reading's frame.
        sender.take(0, 10, skip=BreaksOff())
    writer.append([Chunk(b"3", 1)], {}, 1)
    sender.settle([first])
    assert bodies(sender) == [b"2", b"3"]
    assert held.traceback


def test_a_writer_and_two_senders_in_one_process_never_find_the_spool_locked(tmp_path: Path) -> None:
    writer, sender = (Spool(tmp_path / "a.db", max_bytes=10**9) for _ in range(2))
    done = threading.Event()
    failures: list[Exception] = []

    def until_done(work: Callable[[], object]) -> None:
        try:
            while not done.is_set():
                work()
        except Exception as error:  # noqa: BLE001 - asserted on below, in the test's own thread
            failures.append(error)
            done.set()

    def send() -> None:
        chunks = sender.take(0, 30_000)
        if chunks:
            sender.settle(chunks)

    work = [lambda: writer.append([Chunk(b"x" * 20_000, 1) for _ in range(3)], {}, 1), send, send]
    threads = [threading.Thread(target=until_done, args=(what,)) for what in work]
    switch_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        done.wait(1.0)
        done.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch_seconds)
    assert failures == []


def test_another_process_that_looks_and_goes_takes_nothing_from_one_with_several_connections(tmp_path: Path) -> None:
    writer, _sender = (Spool(tmp_path / "a.db", max_bytes=MEGABYTE) for _ in range(2))
    script = (
        "import sys; from pathlib import Path; from pipeline.shipping.spools import Spools\n"
        "with Spools(Path(sys.argv[1]), 10**6).opened(Path(sys.argv[1]) / 'a.db') as spool: print(spool.depth().events)"
    )
    for number in (1, 2):
        writer.append([Chunk(b"x", 1)], {}, 1)
        seen = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
        assert int(seen.stdout) == number


def test_room_that_the_reserve_gave_up_is_for_settling_alone(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1 << 50)  # More than any disk has.
    spool = Spool(tmp_path / "a.db", max_bytes=MEGABYTE, reserve=reserve)
    with pytest.raises(SpoolFullError, match="disk is full"):
        spool.append([Chunk(b"x", 1)], {}, 1)
    spool.append([], {"file": "1"}, 1)
    assert spool.positions() == {"file": (1, "1")}


def test_taking_again_gives_what_is_still_there_within_its_bytes(spool: Spool) -> None:
    spool.append([Chunk(b"x" * 10, 1) for _ in range(4)], {}, 1)
    first, second, third, fourth = spool.take(0, 100)
    spool.settle([second])
    ids = [first.id, second.id, third.id, fourth.id]
    assert spool.take_again(ids, 25) == [first, third]
    assert spool.take_again(ids, 1) == [first]
    assert spool.take_again([second.id], 100) == []


def test_depth_counts_what_is_held_through_reopening(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.db", max_bytes=MEGABYTE)
    spool.append([Chunk(b"abc", 3), Chunk(b"de", 2)], {}, 9)
    spool.close()
    depth = Spool(tmp_path / "a.db", max_bytes=MEGABYTE).depth()
    assert (depth.events, depth.bytes, depth.oldest_ms) == (5, 5, 9)


def _fail_without(path: Path) -> None:
    path.unlink()
    raise sqlite3.OperationalError("disk I/O error")


def test_a_spool_that_is_removed_while_it_is_looked_at_is_gone_and_no_failure(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    owned = spools.for_writer()
    owned.close()
    with pytest.raises(FileNotFoundError), spools.opened(owned.spool.path):
        _fail_without(owned.spool.path)
    owned = spools.for_writer()
    owned.close()
    with pytest.raises(sqlite3.OperationalError), spools.opened(owned.spool.path):
        raise sqlite3.OperationalError("disk I/O error")


def test_what_was_ever_spooled_and_settled_is_counted_and_a_remainder_is_not_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.db", max_bytes=MEGABYTE)
    spool.append([Chunk(b"abc", 3), Chunk(b"de", 2)], {}, 9)
    first, second = spool.take(0, 100)
    spool.settle([first], [Chunk(b"b", 1)])
    spool.settle([second])
    spool.close()
    depth = Spool(tmp_path / "a.db", max_bytes=MEGABYTE).depth()
    assert (depth.events, depth.spooled, depth.settled) == (1, 5, 4)


def test_a_spool_of_an_older_format_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = sqlite3.connect(path)
    db.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {_FORMATS[0]}")
    db.execute("INSERT INTO chunk (spooled_ms, events, bytes, rank, body) VALUES (7, 2, 2, -1, x'6162')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    spool = Spool(path, max_bytes=MEGABYTE)
    assert bodies(spool) == [b"ab"]
    spool.settle(spool.take(0, 10))
    depth = Spool(path, max_bytes=MEGABYTE).depth()
    assert (depth.events, depth.bytes, depth.spooled, depth.settled) == (0, 0, 2, 2)


def test_looking_at_a_spool_that_is_gone_does_not_make_it_again(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    with pytest.raises(FileNotFoundError), spools.opened(tmp_path / "gone.db"):
        pass
    assert list(tmp_path.glob("gone*")) == []


def test_files_are_for_their_owner_alone(spool: Spool) -> None:
    spool.append([Chunk(b"secret", 1)], {}, 1)
    for path in spool.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_commits_of_events_are_synchronous(spool: Spool) -> None:
    levels: list[int] = []
    original = spool._db

    class Watching:
        def __getattr__(self, name: str) -> object:
            return getattr(original, name)

        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                levels.append(original.execute("PRAGMA synchronous").fetchone()[0])
            return original.execute(sql, *rest)

    spool._db = Watching()  # type: ignore[assignment]
    spool.append([Chunk(b"1", 1)], {}, 1)
    full = 2
    assert levels == [full]
    assert original.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_file_space_is_given_back_after_a_backlog(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.db", max_bytes=200 * MEGABYTE)
    for _ in range(80):
        spool.append([Chunk(os.urandom(MEGABYTE), 1)], {}, 1)
    full = sum(path.stat().st_size for path in tmp_path.iterdir())
    spool.settle(spool.take(0, 10**9))
    steps = 1
    while spool.give_back():
        steps += 1
    assert steps > 1, "a step is bounded"
    left = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert full > 80 * MEGABYTE
    assert left < full / 2


def test_what_append_returned_from_survives_sigkill(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from pipeline.shipping.spool import Chunk, Spool
        spool = Spool(Path(sys.argv[1]), max_bytes=10**9)
        number = 0
        while True:
            number += 1
            spool.append([Chunk(b"%d" % number, 1)], {"file": str(number)}, 1)
            print(number, flush=True)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "a.db")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = 0
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged == 200:
            process.send_signal(signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().split())])
    process.wait()
    assert acknowledged >= 200
    spool = Spool(tmp_path / "a.db", max_bytes=10**9)
    found = [int(body) for body in bodies(spool)]
    assert found[:acknowledged] == list(range(1, acknowledged + 1))
    assert {source: data for source, (_, data) in spool.positions().items()} == {"file": str(found[-1])}


def test_a_spool_is_written_by_one_process_and_adopted_when_that_is_gone(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    first = spools.for_reader()
    second = spools.for_reader()
    assert first.spool.path != second.spool.path
    first.close()
    assert Spools(tmp_path, MEGABYTE).for_reader().spool.path == first.spool.path


def test_the_position_that_a_later_reader_stored_holds_whichever_spool_it_is_in(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    first, second = spools.for_reader(), spools.for_reader()
    second.spool.append([], {"a": "old", "b": "kept", "c": "old"}, 9_000)
    first.close()
    second.close()
    first = spools.for_reader()
    first.spool.append([], {"a": "new", "c": ""}, 1)  # The clock has gone back meanwhile.
    assert spools.positions() == {"a": "new", "b": "kept"}
    second = spools.for_reader()
    assert spools.positions() == {"a": "new", "b": "kept"}
    second.spool.append([], {"a": "newest"}, 1)
    assert spools.positions() == {"a": "newest", "b": "kept"}


def test_of_two_readers_at_once_the_position_holds_that_was_stored_last(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    first = spools.for_reader()
    first.spool.append([], {"a": "1"}, 1_000)
    second = spools.for_reader()
    second.spool.append([], {"a": "2"}, 2_000)
    second.close()
    first.spool.append([], {"a": "3"}, 3_000)
    first.close()
    assert spools.positions() == {"a": "3"}
    spools.for_reader().close()
    assert spools.positions() == {"a": "3"}


def test_positions_that_no_longer_count_are_dropped_by_the_next_reader(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    first, second = spools.for_reader(), spools.for_reader()
    second.spool.append([], {"a": "old"}, 1)
    second.close()
    first.close()
    first = spools.for_reader()
    first.spool.append([], {"a": "", "b": ""}, 1)
    first.close()
    first = spools.for_reader()
    assert first.spool.positions() == {"a": (2, "")}  # Said still, for another spool says something else.
    second = spools.for_reader()
    assert second.spool.positions() == {}
    first.close()
    assert spools.for_reader().spool.positions() == {}


def test_one_sender_at_a_time(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    owned = spools.for_writer()
    adopted = spools.adopt(owned.spool.path)
    assert adopted is not None
    assert spools.adopt(owned.spool.path) is None
    adopted.close()
    assert spools.adopt(owned.spool.path) is not None


def test_an_empty_spool_goes_with_its_writer_and_a_full_one_stays(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    owned = spools.for_writer()
    owned.spool.append([Chunk(b"1", 1)], {}, 1)
    adopted = spools.adopt(owned.spool.path)
    assert adopted is not None
    assert not spools.discard(adopted)
    owned.close()
    assert not spools.discard(adopted)
    adopted.spool.settle(adopted.spool.take(0, 10))
    assert spools.discard(adopted)
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]


def test_what_a_half_removed_spool_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    owned = spools.for_writer()
    reader = spools.for_reader()
    opening = FileLock(tmp_path / "opening.lock")  # A writer between its lock and its database.
    assert opening.acquire()
    kept = sorted(tmp_path.iterdir())
    for name in ("gone.db-wal", "gone.lock", "gone.send"):
        (tmp_path / name).touch()
    spools.sweep()
    assert sorted(tmp_path.iterdir()) == kept
    assert not list(tmp_path.glob("gone*"))
    owned.close()
    reader.close()
    opening.release()


def test_a_lock_ends_with_its_process_and_a_fork_does_not_keep_it(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEGABYTE)
    owned = spools.for_writer()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"!")
        signal.pause()
    try:
        os.read(ready, 1)
        owned.close()
        assert spools._own(owned.spool.path.stem) is not None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_child_may_use_spools_though_its_parent_was_stuck_at_one_when_it_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "_FORK_SECONDS", 0.05)
    stuck, end = threading.Event(), threading.Event()

    def hold() -> None:
        with forks.opening:
            stuck.set()
            end.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    stuck.wait()
    child = os.fork()
    if not child:
        Spools(tmp_path, MEGABYTE).for_writer().spool.append([Chunk(b"1", 1)], {}, 1)
        os._exit(7)
    until = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until:
        time.sleep(0.01)
    end.set()
    holder.join()
    if not ended[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 7


def test_a_spool_of_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "a.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Exception, match="newer siemlite"):
        Spool(tmp_path / "a.db", max_bytes=MEGABYTE)


def test_a_spool_that_a_newer_siemlite_gives_columns_meanwhile_is_written_to(spool: Spool) -> None:
    db = sqlite3.connect(spool.path)
    for table in ("chunk", "position", "held"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN later INTEGER NOT NULL DEFAULT 0")
    db.close()
    spool.append([Chunk(b"a", 1)], {"follow:a": "1"}, 7)
    assert bodies(spool) == [b"a"]
    assert spool.positions() == {"follow:a": (7, "1")}
