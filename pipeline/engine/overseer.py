"""Ends functions of a detection's author that do not end by themselves.

A thread of Python cannot be ended from outside, but an exception can be raised in it. Invariants: it is raised only
while the function runs, and never arrives later; whatever the function catches, it is raised again until it is left.
A function that is within a library's C code, such as a search by a regular expression, is ended when it returns to
Python, not before.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from pipeline.errors import PermanentError

LIMIT_SECONDS = 10.0
"""How long one group may be judged."""

_AGAIN_SECONDS = 0.5


class _Overrun(BaseException):
    """Raised within a function that takes too long."""


class Overseer:
    """Watches over the functions that run within `limit`, each for `seconds`, with one thread for all."""

    def __init__(self, seconds: float = LIMIT_SECONDS) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._due: dict[int, float] = {}
        self._watching = False
        self._idle = False

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Raise `PermanentError` where what runs within takes too long."""
        me = threading.get_ident()
        with self._changed:
            self._due[me] = monotonic() + self._seconds
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="overseer", daemon=True).start()
            if self._idle:
                self._idle = False
                self._changed.notify()
        try:
            yield
        except _Overrun:
            text = (
                f"its judge did not answer within {self._seconds:g} s for one group; make it faster, or narrow `where`"
            )
            raise PermanentError(text) from None
        finally:
            self._leave(me)

    def _leave(self, me: int) -> None:
        while True:
            try:
                with self._changed:
                    self._due.pop(me, None)
                    _raise_in(me, None)
            except _Overrun:  # It was on its way.
                continue
            return

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = monotonic()
                for thread, due in self._due.items():
                    if due <= now:
                        self._due[thread] = now + _AGAIN_SECONDS
                        _raise_in(thread, _Overrun)
                self._idle = not self._due
                # Whoever comes meanwhile is due later than those that are here: nobody need be woken for him.
                self._changed.wait(None if self._idle else max(0.01, min(self._due.values()) - now))


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise `error` in a thread at its next step; with None, take back what has not been raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
