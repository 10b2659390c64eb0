"""What the writer of events is made of, whichever library takes the place of Python's threads, and whenever."""

import signal
import textwrap
import threading
from pathlib import Path

import pytest

from pipeline import threads
from pipeline.events.catalogue import SecurityEvent
from pipeline.logger.committer import Committer
from pipeline.logger.handover import Ready
from pipeline.logger.security import SecurityLogger
from tests.unit.logger.support import numbers, run_application

LIBRARY = textwrap.dedent(
    """
    import _thread, os, queue, sys, threading, types
    used = set()
    started = []
    kept = {}

    def by_siemlite():
        return sys._getframe(2).f_globals["__name__"].startswith("pipeline.")

    def replace(module, name):
        real = getattr(module, name)
        def made(*arguments, **options):
            if by_siemlite():
                used.add(name)
            return real(*arguments, **options)
        kept[name] = real
        setattr(module, name, made)

    def green_start(run, arguments=(), options={}):
        # As a library's: nothing runs as long as its caller does not wait in the library's own way.
        used.add("start_new_thread")
        started.append(run)
        return kept["start_new_thread"](run, arguments, options) if runs else 1

    def green_existing(container):
        # As eventlet: re-entrant locks that lie in dictionaries, lists and attributes are replaced.
        seen.add(id(container))
        inside = dict(enumerate(container)) if isinstance(container, list) else container
        for name, value in list((inside if isinstance(inside, dict) else vars(container)).items()):
            ours = type(value) in (dict, list) or type(value).__module__.startswith("pipeline.")
            if isinstance(value, real_rlock):
                found.append(f"{type(container).__name__}.{name}")
            elif ours and id(value) not in seen and (hasattr(value, "__dict__") or type(value) in (dict, list)):
                green_existing(value)

    real_rlock = type(threading.RLock())
    found, seen = [], set()
    runs = False

    def patch():
        kept["start_new_thread"] = _thread.start_new_thread
        _thread.start_new_thread = threading._start_new_thread = green_start
        for name in ("Lock", "RLock", "Condition", "Event", "Semaphore", "Thread"):
            replace(threading, name)
        replace(_thread, "allocate_lock")
        replace(queue, "SimpleQueue")
        for name in [name for name in sys.modules if name.startswith("pipeline.")]:
            green_existing(vars(sys.modules[name]))
    """
)

LATE = """
import signal
if {forked!r} and (pid := os.fork()):
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
signal.alarm(40)
if {moment!r} == "imported":
    import pipeline.logger.security
    patch()
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger("a")
if {moment!r} == "made":
    patch()
for n in range(100):
    security.log(SecurityEvent.LOGOUT, n=n)
assert security.flush(20)
security.log(SecurityEvent.LOGOUT, n=100, durable=True)
assert security.close()
security.log(SecurityEvent.LOGOUT, n=101)
assert not used and not started and not found, (used, started, found)
"""


@pytest.mark.parametrize("moment", ["imported", "made"])
@pytest.mark.parametrize("forked", [False, True])
def test_a_library_that_takes_the_place_of_threads_later_changes_nothing_of_the_writer(
    tmp_path: Path, moment: str, forked: bool
) -> None:
    script = LATE.format(moment=moment, forked=forked)
    settings = {"SIEMLITE_SECURITY_LOG": str(tmp_path / "security.log")}
    result = run_application(tmp_path, LIBRARY + script, **settings)
    assert result.returncode == 0, result.stderr
    assert sorted(numbers(tmp_path)) == list(range(102))


def test_a_library_that_took_the_place_of_threads_before_is_used_throughout(tmp_path: Path) -> None:
    script = """
runs = True
patch()
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger("a")
used.clear()
import signal
from pipeline.logger import line
masks, serve = [], line.Line._serve
def watched(self, patience):
    masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    return serve(self, patience)
line.Line._serve = watched
security.log(SecurityEvent.LOGOUT, n=0, durable=True)
assert used >= {"start_new_thread", "Lock"}, used
from pipeline import threads
assert threads.Lock is threading.Lock and threads.RLock is threading.RLock
assert threads.SimpleQueue is queue.SimpleQueue
assert masks[0] == set()  # a library's threads run in the application's own
"""
    result = run_application(tmp_path, LIBRARY + script)
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path) == [0]


def test_a_sender_is_started_in_the_kind_of_thread_that_the_process_uses_then(tmp_path: Path) -> None:
    script = """
module = types.ModuleType("pipeline.app.shipping")
module.ship_in_process = lambda settings: None
sys.modules["pipeline.app.shipping"] = module
from pipeline import SecurityEvent, SecurityLogger
security = SecurityLogger("a")
patch()
security.log(SecurityEvent.LOGOUT, n=0, durable=True)
assert len(started) == 1, started
"""
    result = run_application(tmp_path, LIBRARY + script, SIEMLITE_SHIP_IN_PROCESS="1")
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path) == [0]


def blocked() -> set[int]:
    """Return the signals that the calling thread blocks."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_no_signal_is_handled_where_events_are_written_and_all_are_where_the_application_logs(
    security: SecurityLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[set[int]] = []
    commit = Committer.commit

    def watched(committer: Committer, items: list[Ready]) -> None:
        masks.append(blocked())
        commit(committer, items)

    monkeypatch.setattr(Committer, "commit", watched)
    before = blocked()
    security.log(SecurityEvent.LOGOUT, durable=True)
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM} <= masks[0]
    assert blocked() == before


@pytest.mark.parametrize("start", [threads.start, threads.start_as_now])
def test_a_thread_that_is_started_blocks_signals_but_for_those_of_its_own_faults(start: object) -> None:
    masks: list[set[int]] = []
    done = threading.Event()

    def run() -> None:
        masks.append(blocked())
        done.set()

    assert callable(start)
    start(run)
    assert done.wait(20)
    assert signal.SIGTERM in masks[0]
    assert signal.SIGSEGV not in masks[0]
