"""When events become durable, and what threads, forks, signals and a failing disk change about it: nothing."""

import _thread
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RetryableError
from pipeline.events.catalogue import SecurityEvent
from pipeline.logger.security import SecurityLogger
from pipeline.shipping.spool import Spool
from pipeline.shipping.spools import Spools
from tests.unit.logger.support import (
    codes,
    environment,
    run_application,
    spooled,
    spooled_with_ids,
    start_application,
)

Make = Callable[..., SecurityLogger]


def numbers(home: Path) -> list[int]:
    return [event["siemlite"]["data"]["n"] for event in spooled(home)]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


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


def test_a_durable_event_survives_sigkill(tmp_path: Path) -> None:
    process = start_application(
        tmp_path,
        """
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a", durable=True)
        n = 0
        while True:
            n += 1
            security.log(SecurityEvent.LOGOUT, n=n)
            print(n, flush=True)
        """,
    )
    assert process.stdout is not None
    acknowledged = 0
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged == 100:
            process.kill()
            break
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().split())])
    process.stdout.close()
    process.wait()
    found = numbers(tmp_path)
    assert found[:acknowledged] == list(range(1, acknowledged + 1))
    assert len(found) <= acknowledged + 1


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


def test_everything_is_on_disk_when_the_interpreter_has_ended(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import atexit
        from pipeline import SecurityEvent, SecurityLogger
        @atexit.register  # registered before the logger's own, so it runs after that
        def late():
            security.log(SecurityEvent.LOGIN_SUCCESS, n=-1)
        security = SecurityLogger("a")
        for n in range(3_000):
            security.log(SecurityEvent.LOGOUT, n=n)
        """,
    )
    assert result.returncode == 0
    assert result.stderr == ""
    assert sorted(numbers(tmp_path)) == list(range(-1, 3_000))


def test_a_first_event_at_the_interpreters_end_is_kept(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import atexit
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        atexit.register(lambda: security.log(SecurityEvent.LOGOUT, n=1))
        import _thread
        def refuse(*arguments):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        atexit.register(lambda: setattr(_thread, "start_new_thread", refuse))
        """,
    )
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path) == [1]


FORK = """
import os, sys
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger("a")
for n in range(100):
    security.log(SecurityEvent.LOGOUT, n=n)
children = []
for child in range(1, 4):
    pid = os.fork()
    if pid == 0:
        for n in range(50):
            security.log(SecurityEvent.LOGIN_SUCCESS, n=child * 1000 + n)
        sys.exit(0)
    children.append(pid)
    security.log(SecurityEvent.LOGOUT, n=100 + child)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
for n in range(200, 300):
    security.log(SecurityEvent.LOGOUT, n=n)
"""


def test_a_fork_doubles_and_loses_nothing_and_each_process_has_a_spool_of_its_own(tmp_path: Path) -> None:
    result = run_application(tmp_path, FORK)
    assert result.returncode == 0, result.stderr
    found = spooled_with_ids(tmp_path)
    assert len({event_id for event_id, _ in found}) == len(found)
    expected = [*range(100), 101, 102, 103, *range(200, 300)]
    expected += [child * 1000 + n for child in (1, 2, 3) for n in range(50)]
    assert sorted(numbers(tmp_path)) == sorted(expected)
    assert len(list((tmp_path / "spool").glob("*.db"))) == 4


def test_a_child_never_closes_the_parents_database(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import os, sys
        from pathlib import Path
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        security.log(SecurityEvent.LOGOUT, n=1, durable=True)
        (database,) = Path("spool").glob("*.db")
        def still_open():
            links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                     if os.path.exists(f"/proc/self/fd/{fd}")]
            return any(link.endswith(database.name) for link in links)
        pid = os.fork()
        if pid == 0:
            import gc
            security.log(SecurityEvent.LOGOUT, n=2, durable=True)
            security.close()
            gc.collect()
            os._exit(0 if still_open() else 1)
        assert os.waitpid(pid, 0)[1] == 0, "the child closed it"
        pid = os.fork()
        if pid == 0:
            sys.exit(0)  # through the interpreter's whole finalisation
        os.waitpid(pid, 0)
        assert Path(f"{database}-wal").exists()
        security.log(SecurityEvent.LOGOUT, n=3, durable=True)
        """,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(numbers(tmp_path)) == [1, 2, 3]


def test_forking_while_threads_log_never_hangs_a_child(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import os, sys, threading
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        done = threading.Event()
        def work():
            while not done.wait(0.0002):
                security.log(SecurityEvent.LOGOUT, n=0)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for child in range(1, 21):
            pid = os.fork()
            if pid == 0:
                security.log(SecurityEvent.LOGIN_SUCCESS, n=child, durable=True)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        done.set()
        for thread in threads:
            thread.join()
        """,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(n for n in numbers(tmp_path) if n) == list(range(1, 21))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_leave_nothing_behind(tmp_path: Path, method: str) -> None:
    (tmp_path / "work.py").write_text(
        "from pipeline import SecurityEvent, SecurityLogger\n"
        "security = SecurityLogger('a')\n"
        "def work(n):\n"
        "    security.log(SecurityEvent.LOGOUT, n=n)\n"
    )
    result = run_application(
        tmp_path,
        """
        import sys
        sys.path.insert(0, ".")
        import multiprocessing
        from work import work
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            children = [context.Process(target=work, args=(n,)) for n in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
        """,
        method,
        PYTHONPATH=f"{environment(tmp_path)['PYTHONPATH']}{os.pathsep}{tmp_path}",
    )
    assert result.returncode == 0, result.stderr
    assert sorted(numbers(tmp_path)) == [0, 1, 2]


def test_the_children_of_celerys_pool_leave_nothing_behind(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import os, sys, types
        util = types.ModuleType("billiard.util")  # Has what multiprocessing.util has, and runs it before os._exit.
        finalizers = []
        util.Finalize = lambda obj, call, exitpriority: finalizers.append(call)
        sys.modules["billiard.util"] = util
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        if not os.fork():
            for n in range(100):
                security.log(SecurityEvent.LOGOUT, n=n)
            for finalize in finalizers:
                finalize()
            os._exit(0)
        os.wait()
        """,
    )
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path) == list(range(100))


def test_signal_handlers_may_log_at_any_moment(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import faulthandler, signal, time
        faulthandler.dump_traceback_later(40, exit=True)
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        handled = 0
        def handler(*arguments):
            global handled
            handled += 1
            security.log(SecurityEvent.LOGIN_SUCCESS, n=-handled)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        logged = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            security.log(SecurityEvent.LOGOUT, n=logged)
            logged += 1
            if logged % 200 == 0:
                security.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(logged, handled)
        """,
    )
    assert result.returncode == 0, result.stderr
    logged, handled = (int(word) for word in result.stdout.split())
    assert handled > 100
    found = numbers(tmp_path)
    assert sorted(found) == list(range(-handled, logged))


def test_a_terminated_process_loses_at_most_what_was_logged_in_the_last_moment(tmp_path: Path) -> None:
    process = start_application(
        tmp_path,
        """
        import time
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        security.log(SecurityEvent.LOGOUT, n=1)
        security.flush()
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait() == -signal.SIGTERM
    assert numbers(tmp_path) == [1]


def broken(home: Path) -> Path:
    """Make `home` one in which no spool can be; return what must be removed to repair it."""
    home.mkdir()
    obstacle = home / "spool"
    obstacle.write_text("")
    return obstacle


def test_events_wait_for_a_failing_disk_which_is_told_once(
    security: SecurityLogger, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = broken(home)
    for n in range(50):
        security.log(SecurityEvent.LOGOUT, n=n)
        time.sleep(0.01)
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
        patch.setattr(_thread, "start_new_thread", refuse)
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


def test_what_cannot_be_written_at_the_end_is_told_with_its_count(tmp_path: Path) -> None:
    broken(tmp_path / "home")
    result = run_application(
        tmp_path,
        """
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        for n in range(7):
            security.log(SecurityEvent.LOGOUT, n=n)
        """,
        SIEMLITE_HOME=str(tmp_path / "home"),
    )
    assert result.returncode == 0
    assert "7 security events are lost" in result.stderr


def test_the_application_sends_itself_only_when_told_to(tmp_path: Path) -> None:
    script = """
        import sys, types
        calls = []
        module = types.ModuleType("pipeline.app.shipping")
        module.ship_in_process = lambda settings: calls.append(settings.siemlite_home)
        sys.modules["pipeline.app.shipping"] = module
        import time
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        assert not calls
        for n in range(3):
            security.log(SecurityEvent.LOGOUT, durable=True)
            security.close()
        end = time.monotonic() + 10
        while not calls and "1" in sys.argv[1:] and time.monotonic() < end:
            time.sleep(0.01)
        print(len(calls))
        """
    for value, calls in (("1", "1"), ("0", "0")):
        result = run_application(tmp_path, script, value, SIEMLITE_SHIP_IN_PROCESS=value)
        assert result.stdout.split() == [calls], result.stderr


def test_an_application_without_a_usable_setting_is_told_at_the_start(tmp_path: Path) -> None:
    result = run_application(
        tmp_path, "from pipeline import SecurityLogger; SecurityLogger('a')", SIEMLITE_SPOOL_MAX_BYTES="much"
    )
    assert result.returncode == 1
    assert "SIEMLITE_SPOOL_MAX_BYTES" in result.stderr


def test_a_stopped_logger_leaves_no_thread_behind(security: SecurityLogger) -> None:
    security.log(SecurityEvent.LOGOUT)
    security.close()
    assert until(lambda: security._writer.line().idle)
