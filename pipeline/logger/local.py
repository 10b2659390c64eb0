"""The local `security.log`: lines appended by several processes, rotated by size.

Invariants: a line is written whole or not at all; while one process writes or rotates, it holds an exclusive
`flock` on the very file that the path names, so that lines never mix and a rotation happens once; files are
0600; what is not a regular file (a terminal, a pipe) is never rotated.
"""

import fcntl
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.clock import Clock
from pipeline.threads import Lock

_LOCK_SECONDS = 10.0
_LOCK_STEP_SECONDS = 0.001


class RotatingFile:
    """Appends to `path`; at `max_bytes` it becomes `path.1`, that `path.2`, up to `backups`. For one thread."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int, clock: Clock) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._clock = clock
        self._file: int | None = None
        self._never = Lock()
        self._never.acquire()

    def write(self, lines: Sequence[bytes]) -> None:
        """Append `lines`, each ending with a newline.

        Raises `OSError`, and takes back what was begun; `BlockingIOError` when another process held the lock
        for 10 s.
        """
        position = 0
        while position < len(lines):
            file = self._locked()
            try:
                position = self._write_some(file, lines, position)
            finally:
                if self._file == file:  # else closed by a rotation, and the lock with it
                    fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write_some(self, file: int, lines: Sequence[bytes], position: int) -> int:
        """Write what fits before the next rotation; return the position of the first line not written."""
        status = os.fstat(file)
        regular = stat.S_ISREG(status.st_mode)
        end = position
        size = status.st_size if regular else 0
        while end < len(lines) and (not regular or size + len(lines[end]) <= self._max_bytes):
            size += len(lines[end])
            end += 1
        if end == position and status.st_size == 0:
            end = position + 1  # A single line larger than the bound has a file of its own.
        if end > position:
            self._append(file, b"".join(lines[position:end]), status.st_size if regular else None)
        if end < len(lines):
            self._rotate()
        return end

    @staticmethod
    def _append(file: int, data: bytes, size_before: int | None) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(file, data[written:])
        except OSError:
            if size_before is not None:
                os.ftruncate(file, size_before)
            raise

    def _rotate(self) -> None:
        for number in range(self._backups - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._backup(number).rename(self._backup(number + 1))
        with suppress(FileNotFoundError):
            self.path.rename(self._backup(1))
        self.close()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _locked(self) -> int:
        """Return the descriptor of the file that the path names now, locked."""
        until = self._clock.monotonic() + _LOCK_SECONDS
        while True:
            file = self._file if self._file is not None else self._open()
            self._lock(file, until)
            if self._is_current(file):
                return file
            self.close()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        try:
            file = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.path, flags, 0o600)
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and status.st_uid == os.geteuid():
            os.fchmod(file, 0o600)
        self._file = file
        return file

    def _lock(self, file: int, until: float) -> None:
        """Lock `file`, but do not wait for ever for a process that was stopped while it held the lock."""
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() > until:
                    raise
                self._never.acquire(timeout=_LOCK_STEP_SECONDS)
            else:
                return

    def _is_current(self, file: int) -> bool:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return True
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (status.st_dev, status.st_ino)
