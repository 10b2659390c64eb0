"""Ends functions of a detection's author that do not end by themselves.

A thread of Python cannot be ended from outside, but an exception can be raised in it. Invariants: it is raised only
while the function runs, and never arrives later; whatever the function catches, it is raised again until it is left.
A function that is within a library's C code, such as a search by a regular expression, is ended when it returns to
Python, not before.

The exception may arrive between any two steps, those of a `with` statement included, so who is watched holds no lock
while it can arrive: a lock that is acquired and never released would stop every thread.
"""

import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TypeVar

from pipeline.errors import PermanentError

LIMIT_SECONDS = 10.0
"""How long one group may be judged."""

_AGAIN_SECONDS = 0.5
_T = TypeVar("_T")


class _Overrun(BaseException):
    """Raised within a function that takes too long."""


class Overseer:
    """Watches over the functions that are `limited`, each to `seconds`, with one thread for all."""

    def __init__(self, seconds: float = LIMIT_SECONDS) -> None:
        self._seconds = seconds
        self._again = min(seconds, _AGAIN_SECONDS)  # no longer, so that whoever comes later is due later
        self._starting = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._due: dict[int, float] = {}
        self._raising: int | None = None
        self._watching = False
        self._idle = False

    def limited(self, function: Callable[[], _T]) -> _T:
        """Return what `function` returns. Raises `PermanentError` where it takes too long."""
        self._begin_to_watch()
        me = threading.get_ident()
        try:
            try:
                self._due[me] = monotonic() + self._seconds
                if self._idle:
                    self._ring()
                return function()
            finally:
                self._leave(me)
        except _Overrun:
            while True:
                try:
                    self._leave(me)
                except _Overrun:  # it came on the way out
                    continue
                break
            text = (
                f"its judge did not answer within {self._seconds:g} s for one group; make it faster, or narrow `where`"
            )
            raise PermanentError(text) from None

    def _begin_to_watch(self) -> None:
        if not self._watching:
            with self._starting:
                if not self._watching:
                    threading.Thread(target=self._watch, name="overseer", daemon=True).start()
                    self._watching = True

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it rings already
            self._bell.release()

    def _leave(self, me: int) -> None:
        """Be watched no more: when it returns, nothing is on its way to this thread."""
        while True:
            try:
                self._due.pop(me, None)
                while self._raising == me:
                    sleep(0)
                self._due.pop(me, None)  # the watch may have noted when to raise again
                _raise_in(me, None)
            except _Overrun:  # it was on its way
                continue
            return

    def _watch(self) -> None:
        while True:
            now = monotonic()
            for thread, due in self._due.copy().items():
                if due <= now:
                    self._raising = thread
                    if thread in self._due:
                        self._due[thread] = now + self._again
                        _raise_in(thread, _Overrun)
                    self._raising = None
            self._idle = not self._due
            if self._idle and self._due:  # somebody came meanwhile, and saw nobody to be woken
                continue
            # Whoever comes while others are here is due later than they are: nobody need be woken for him.
            due_next = min(self._due.copy().values(), default=None)
            self._bell.acquire(timeout=-1 if due_next is None else max(0.01, due_next - now))
            self._idle = False


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise `error` in a thread at its next step; with None, take back what has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
