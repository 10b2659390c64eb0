"""What a fork waits for: a child must not inherit a lock that a thread of its parent holds at that moment.

SQLite has locks of its own, of which Python knows nothing: a child of a process that was within it on another
thread would wait for ever at its first use of a database. Invariants: whoever is within SQLite, or between opening
a file of locks and keeping it, holds `opening` or the mutex of something that was given to `guard`; a fork takes
them all, waiting for a bounded time; a child keeps what it inherited as it is and never uses or closes it.
"""

import os
import threading
import weakref
from types import TracebackType
from typing import Protocol

from pipeline.threads import Lock

_FORK_SECONDS = 5.0


class Guarded(Protocol):
    """What is used under its `mutex` alone."""

    mutex: Lock


class ForkLock:
    """A lock that a fork's child replaces, whoever held it in the parent."""

    def __init__(self) -> None:
        self.lock = Lock()

    def __enter__(self) -> None:
        self.lock.acquire()

    def renew(self) -> None:
        """Be free; for a fork's child, in which whoever held it does not exist."""
        self.lock = Lock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()


opening = ForkLock()
"""Held while a database is opened or a file lock taken."""

_guarded: "weakref.WeakSet[Guarded]" = weakref.WeakSet()
_inherited: list[Guarded] = []
_taken = threading.local()


def guard(used: Guarded) -> None:
    """Let forks wait for `used`; called with `opening` held."""
    _guarded.add(used)


def _take_all() -> None:
    taken: list[Lock] = []
    _taken.locks = taken
    if not opening.lock.acquire(timeout=_FORK_SECONDS):
        return  # Somebody waits for a disk within SQLite: a fork that waits with him would serve nobody.
    taken.append(opening.lock)
    for used in list(_guarded):
        if not used.mutex.acquire(timeout=_FORK_SECONDS):
            return
        taken.append(used.mutex)


def _let_go() -> None:
    for lock in reversed(_taken.locks):
        lock.release()
    _taken.locks = []


def _begin_anew() -> None:
    opening.renew()
    _inherited.extend(_guarded)
    _guarded.clear()


os.register_at_fork(before=_take_all, after_in_parent=_let_go, after_in_child=_begin_anew)
