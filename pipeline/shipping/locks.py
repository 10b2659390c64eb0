"""Locks between processes.

Invariants: a lock is held until released or until the process that took it ends, however it ends; a fork's
child never holds it, and releasing it releases what copies there may be; the same process cannot take it
twice; a lock file that was removed meanwhile does not count as locked.
"""

import fcntl
import os
import weakref
from pathlib import Path

from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.forks import opening


class FileLock:
    """An advisory `flock` on the file at `path`, made 0600 where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None  # No file object: a fork's child could not close one that is in use.
        with opening:
            _all.add(self)

    def __del__(self) -> None:
        self.let_go()

    def acquire(self) -> bool:
        """Take the lock if nobody else holds it; return whether it is ours.

        Raises `UnusableSpoolError` where the file is not this user's to lock.
        """
        with opening:
            if self._handle is not None:
                return True
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except PermissionError as error:
                text = f"{self.path} is not this user's to use: {error.strerror}; change its owner"
                raise UnusableSpoolError(text, damaged=False) from None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = self._names(handle)
            except BlockingIOError:
                ours = False
            except BaseException:
                os.close(handle)
                raise
            if ours:
                self._handle = handle
            else:
                os.close(handle)
            return ours

    def release(self) -> None:
        """Give the lock back."""
        with opening:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.let_go()

    def let_go(self) -> None:
        """Close this process's copy, whoever holds the lock."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def taken(self) -> bool:
        """Return whether anybody holds the lock; somebody else's file counts as held."""
        with opening:
            if self._handle is not None:
                return True
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            except PermissionError:
                return True
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Shared: two who only ask see nobody.
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
            return False

    def _names(self, handle: int) -> bool:
        try:
            return os.fstat(handle).st_ino == self.path.stat().st_ino
        except FileNotFoundError:
            return False


_all: "weakref.WeakSet[FileLock]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the child's copies: a lock lives as long as any copy of its descriptor is open."""
    for lock in list(_all):
        lock.let_go()


os.register_at_fork(after_in_child=_let_go_in_child)
