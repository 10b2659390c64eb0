"""Locks between processes.

Invariants: a lock is held until released or until the process that took it ends, however it ends; a fork's
child never holds it; the same process cannot take it twice; a lock file that was removed meanwhile does not
count as locked.
"""

import fcntl
import os
import weakref
from pathlib import Path
from typing import BinaryIO


class FileLock:
    """An advisory `flock` on the file at `path`, made 0600 where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        _all.add(self)

    def acquire(self) -> bool:
        """Take the lock if nobody else holds it; return whether it is ours."""
        if self._file is not None:
            return True
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "rb+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        if not self._names(file):
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def held(self) -> bool:
        """Return whether this object holds the lock."""
        return self._file is not None

    def _names(self, file: BinaryIO) -> bool:
        try:
            return os.fstat(file.fileno()).st_ino == self.path.stat().st_ino
        except FileNotFoundError:
            return False


_all: "weakref.WeakSet[FileLock]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the child's copies: a lock lives as long as any copy of its descriptor is open."""
    for lock in list(_all):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_child)
