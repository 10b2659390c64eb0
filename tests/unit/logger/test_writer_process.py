"""What the writer keeps through the life of a process: forks, children, signals, the end of the interpreter."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.logger.security import SecurityLogger
from tests.unit.logger.support import (
    broken,
    environment,
    numbers,
    run_application,
    spooled_with_ids,
    start_application,
)

Make = Callable[..., SecurityLogger]


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
        from pipeline import threads
        def refuse(*arguments):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        atexit.register(lambda: setattr(threads, "start", refuse))
        """,
    )
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path) == [1]


@pytest.mark.skipif(sys.version_info[:3] == (3, 13, 0), reason="datetime in a `__del__` so late ends Python 3.13.0")
def test_what_an_object_logs_that_the_interpreter_takes_down_last_is_kept(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import atexit
        atexit.register(lambda: security.log(SecurityEvent.LOGOUT, n=1))  # runs last: its thread is still there then
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        class Session:
            def __del__(self):
                security.log(SecurityEvent.LOGOUT, n=2)
                security.log(SecurityEvent.LOGOUT, n=3, durable=True)
        session = Session()
        """,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(numbers(tmp_path)) == [1, 2, 3]


def test_a_trouble_that_cannot_be_told_keeps_nothing_from_the_spool(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import sys
        from pipeline import SecurityEvent, SecurityLogger
        from pipeline.logger import security_processor
        security = SecurityLogger("a")
        sys.stderr.close()
        security.log(SecurityEvent.LOGOUT, n=1)
        security_processor(security)(None, "info", None)  # fails, which is told, too
        security.log(SecurityEvent.LOGOUT, n=2, durable=True)
        """,
        SIEMLITE_CONSOLE="true",
    )
    assert result.returncode == 0
    assert sorted(numbers(tmp_path)) == [1, 2]


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


def test_a_child_of_celerys_pool_that_is_recycled_leaves_nothing_behind(tmp_path: Path) -> None:
    result = run_application(
        tmp_path,
        """
        import os, sys, types
        signals = types.ModuleType("celery.signals")  # Celery sends this one in a pool's child before os._exit.
        class Signal:
            receivers = []
            def connect(self, receiver, weak=True):
                assert not weak
                self.receivers.append(receiver)
        signals.worker_process_shutdown = Signal()
        sys.modules["celery.signals"] = signals
        from pipeline import SecurityEvent, SecurityLogger
        security = SecurityLogger("a")
        if not os.fork():
            for n in range(100):
                security.log(SecurityEvent.LOGOUT, n=n)
            for receiver in Signal.receivers:
                receiver(sender=None, pid=os.getpid(), exitcode=0)
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
