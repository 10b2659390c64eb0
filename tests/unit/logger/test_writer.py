"""When events become durable, and what threads and a failing disk change about it: nothing."""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import threads
from pipeline.errors import RetryableError
from pipeline.events.catalogue import SecurityEvent
from pipeline.logger.security import SecurityLogger
from pipeline.logger.writer import DURABLE_SECONDS
from pipeline.shipping.spool import Spool
from pipeline.shipping.spools import Spools
from tests.unit.logger.support import (
    broken,
    codes,
    numbers,
    settings_for,
    spooled,
    until,
)

Make = Callable[..., SecurityLogger]


def test_events_of_a_thread_are_spooled_in_the_order_of_the_calls(security: SecurityLogger, home: Path) -> None:
    for n in range(2_500):
        security.log(SecurityEvent.LOGOUT, n=n)
    assert security.flush()
    assert numbers(home) == list(range(2_500))


def test_events_are_committed_without_being_asked_for(security: SecurityLogger, home: Path) -> None:
    security.log(SecurityEvent.LOGOUT, n=1)
    assert until(lambda: (home / "spool").exists() and numbers(home) == [1])


def test_all_loggers_of_a_home_share_one_spool(make: Make, home: Path) -> None:
    one, other = make("one"), make("other")
    one.log(SecurityEvent.LOGOUT)
    other.log(SecurityEvent.LOGOUT)
    assert one.flush()
    assert sorted(event["service"]["name"] for event in spooled(home)) == ["one", "other"]
    assert len(list((home / "spool").glob("*.db"))) == 1


def test_a_logger_that_no_longer_exists_keeps_no_spool_from_being_given_up(home: Path) -> None:
    def orphaned() -> bool:
        (database,) = (home / "spool").glob("*.db")
        return Spools(home / "spool", 2**30).orphaned(database)

    forgotten: SecurityLogger | None = SecurityLogger("one", settings=settings_for(home))
    assert forgotten is not None
    forgotten = None
    gc.collect()
    other = SecurityLogger("other", settings=settings_for(home))
    other.log(SecurityEvent.LOGOUT, durable=True)
    assert not orphaned()
    assert other.close()
    assert orphaned()


def test_loggers_of_one_home_that_want_different_things_are_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    make("one")
    make("other", siemlite_redact_keys="badge")
    assert caplog.records == []
    make("third", siemlite_console=True)
    assert "different settings" in caplog.text


def test_two_homes_share_nothing(make: Make, tmp_path: Path) -> None:
    make(siemlite_home=tmp_path / "a").log(SecurityEvent.LOGOUT, durable=True)
    make(siemlite_home=tmp_path / "b").log(SecurityEvent.LOGIN_SUCCESS, durable=True)
    assert codes(spooled(tmp_path / "a")) == ["LOGOUT"]
    assert codes(spooled(tmp_path / "b")) == ["LOGIN_SUCCESS"]


def test_many_threads_lose_and_double_nothing(security: SecurityLogger, home: Path) -> None:
    def work(base: int) -> None:
        for n in range(base, base + 500):
            security.log(SecurityEvent.LOGOUT, n=n, durable=n % 100 == 0)

    threads = [threading.Thread(target=work, args=(base * 1_000,)) for base in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert security.flush()
    assert sorted(numbers(home)) == sorted(base * 1_000 + n for base in range(6) for n in range(500))


def test_a_closed_logger_gives_its_spool_up_and_takes_a_new_one_when_used_again(make: Make, home: Path) -> None:
    security = make()
    security.log(SecurityEvent.LOGOUT, n=1)
    assert security.close()
    (path,) = (home / "spool").glob("*.db")
    adopted = Spools(home / "spool", 2**20).adopt(path)
    assert adopted is not None
    adopted.spool.settle(adopted.spool.take(0, 2**20))
    assert Spools(home / "spool", 2**20).discard(adopted)
    security.log(SecurityEvent.LOGOUT, n=2)
    assert security.flush()
    assert numbers(home) == [2]


def test_logging_while_another_thread_closes_loses_nothing(make: Make, home: Path) -> None:
    security = make()
    done = threading.Event()

    def close_often() -> None:
        while not done.is_set():
            security.close()

    closer = threading.Thread(target=close_often)
    closer.start()
    for n in range(1_500):
        security.log(SecurityEvent.LOGOUT, n=n)
        if n % 50 == 0:
            time.sleep(0.001)
    done.set()
    closer.join()
    assert security.flush()
    assert sorted(numbers(home)) == list(range(1_500))


def test_the_spool_is_opened_by_another_thread_than_the_callers(security: SecurityLogger, home: Path) -> None:
    opened: list[int] = []

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if opened is not None and event == "sqlite3.connect" and str(home) in str(arguments[0]):
            opened.append(threading.get_ident())

    sys.addaudithook(audit)
    security.log(SecurityEvent.LOGOUT, durable=True)
    assert opened
    assert threading.get_ident() not in opened


def test_a_durable_call_returns_when_its_event_is_on_disk_and_no_sooner(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_commit, returned = threading.Event(), threading.Event()
    append = Spool.append

    def held_up(*arguments: Any) -> None:
        may_commit.wait(20)
        append(*arguments)

    def call() -> None:
        security.log(SecurityEvent.LOGOUT, n=1, durable=True)
        returned.set()

    monkeypatch.setattr(Spool, "append", held_up)
    thread = threading.Thread(target=call)
    thread.start()
    assert not returned.wait(0.3)
    may_commit.set()
    assert returned.wait(20)
    assert numbers(home) == [1]
    thread.join()


def test_a_call_that_is_not_durable_waits_for_no_disk(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_commit = threading.Event()
    append = Spool.append

    def held_up(*arguments: Any) -> None:
        may_commit.wait(20)
        append(*arguments)

    monkeypatch.setattr(Spool, "append", held_up)
    for n in range(100):
        security.log(SecurityEvent.LOGOUT, n=n)
    assert not security.flush(timeout=0.2)
    may_commit.set()
    assert security.flush(timeout=20)
    assert numbers(home) == list(range(100))


def test_an_event_that_is_queued_while_the_thread_ends_is_written_all_the_same(
    security: SecurityLogger, home: Path
) -> None:
    class Tokens(list[bool]):
        """Logs at the moment when the thread has looked for the last time and says so only now."""

        def append(self, token: bool) -> None:
            if not later:
                later.append(True)
                security.log(SecurityEvent.LOGOUT, n=2)
            super().append(token)

    later: list[bool] = []
    security._writer.line()._start_tokens = Tokens([True])
    security.log(SecurityEvent.LOGOUT, n=1)
    security.close()
    assert until(lambda: sorted(numbers(home)) == [1, 2])


def test_what_is_logged_after_the_end_is_on_disk_when_the_call_returns(security: SecurityLogger, home: Path) -> None:
    security._writer.end()
    security.log(SecurityEvent.LOGOUT, n=1)
    assert numbers(home) == [1]


def test_events_wait_for_a_failing_disk_which_is_told_once(
    security: SecurityLogger, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = broken(home)
    for n in range(50):
        security.log(SecurityEvent.LOGOUT, n=n)
        time.sleep(0.01)
    assert until(lambda: bool(caplog.records))
    assert not security.flush(timeout=0.5)
    told = [record for record in caplog.records if record.name == "pipeline.logger"]
    assert [record.levelno for record in told] == [logging.ERROR]
    obstacle.unlink()
    assert security.flush(timeout=20)
    assert numbers(home) == list(range(50))
    assert "again" in caplog.records[-1].message


def test_events_wait_while_no_thread_can_be_started_and_are_written_when_one_can(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threads, "start", refuse)
        for n in range(3):
            security.log(SecurityEvent.LOGOUT, n=n)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    security.log(SecurityEvent.LOGOUT, n=3)
    assert security.flush()
    assert numbers(home) == [0, 1, 2, 3]


def test_a_durable_event_that_cannot_be_kept_raises_and_is_not_kept(security: SecurityLogger, home: Path) -> None:
    obstacle = broken(home)
    with pytest.raises(RetryableError, match="not on disk"):
        security.log(SecurityEvent.LOGOUT, n=1, durable=True)
    obstacle.unlink()
    security.log(SecurityEvent.LOGOUT, n=2, durable=True)
    assert numbers(home) == [2]


def test_a_durable_event_does_not_wait_behind_those_that_cannot_be_kept_yet(
    security: SecurityLogger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.logger.line.GROUP_EVENTS", 2)
    obstacle = broken(home)
    for number in range(5):
        security.log(SecurityEvent.LOGOUT, n=number)
    time.sleep(0.1)  # the first of them are at the head, and are tried again
    begun = time.monotonic()
    with pytest.raises(RetryableError, match="cannot be made"):
        security.log(SecurityEvent.LOGOUT, n=5, durable=True)
    assert time.monotonic() - begun < DURABLE_SECONDS / 2
    obstacle.unlink()
    security.log(SecurityEvent.LOGOUT, n=6, durable=True)
    assert numbers(home) == [0, 1, 2, 3, 4, 6]


def test_a_spool_that_is_removed_under_a_running_process_is_replaced(security: SecurityLogger, home: Path) -> None:
    security.log(SecurityEvent.LOGOUT, n=1, durable=True)
    for path in (home / "spool").iterdir():
        path.unlink()
    security.log(SecurityEvent.LOGOUT, n=2, durable=True)
    assert numbers(home) == [2]


def test_a_damaged_spool_is_left_and_a_new_one_taken(security: SecurityLogger, home: Path) -> None:
    security.log(SecurityEvent.LOGOUT, n=1, durable=True)
    (first,) = (home / "spool").glob("*.db")
    for path in (home / "spool").glob("*.db*"):
        path.write_bytes(b"\xff" * path.stat().st_size)
    security.log(SecurityEvent.LOGOUT, n=2)
    assert security.flush(timeout=20)
    first.unlink()
    for leftover in (home / "spool").glob(f"{first.stem}.db-*"):
        leftover.unlink()
    assert numbers(home) == [2]


def test_a_stopped_logger_leaves_no_thread_behind(security: SecurityLogger) -> None:
    security.log(SecurityEvent.LOGOUT)
    security.close()
    assert until(lambda: security._writer.line().idle)
