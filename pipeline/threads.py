"""The threads, locks and queues that the writing of events is made of, all of one kind.

gevent and eventlet put their own in the place of Python's, perhaps after siemlite was imported. A thread of the one
kind that waits for a lock of the other may stop its whole process. Invariants: what is named here was taken at one
moment, when this module was imported, and whatever the writer of events shares with its callers and with a sender in
the same process is made of it; who holds such a lock neither sleeps nor asks a server, so that one of the system's
may be waited for by either kind of thread; in a thread of the system's that is started here no signal is handled,
and the signals of the thread that starts it are left as they are.
"""

import _thread
import signal
from _thread import start_new_thread as _start_new_thread
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock, RLock
from types import BuiltinFunctionType
from typing import Any

__all__ = ["TIMEOUT_MAX", "Empty", "Lock", "RLock", "SimpleQueue", "start", "start_as_now"]

_FAULTS = frozenset({signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV})
"""What a thread brings upon itself: to block these would only hide where it was."""


def start(run: Callable[[], object]) -> None:
    """Run `run` in a thread of this module's kind. Raises `RuntimeError` where none can be had.

    No `threading.Thread`: its locks are not re-entrant, and a signal handler may be the first to log.
    """
    _start(_start_new_thread, run)


def start_as_now(run: Callable[[], object]) -> None:
    """Run `run` in a thread of the kind that the process starts now, for what makes all else it uses then."""
    _start(_thread.start_new_thread, run)


def _start(start_new_thread: Callable[..., Any], run: Callable[[], object]) -> None:
    if isinstance(start_new_thread, BuiltinFunctionType):
        start_new_thread(_run_without_signals, (run,))
    else:
        start_new_thread(run, ())  # A library's: it may run in the very thread that starts it.


def _run_without_signals(run: Callable[[], object]) -> None:
    """Leave signals to the application's threads: some servers end the process in whichever is given one."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
    run()
