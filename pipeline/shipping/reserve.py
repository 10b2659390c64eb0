"""Room on the disk that is kept back, so that a full disk can still be worked off.

Deleting from a database needs room for its journal. Invariants: while the reserve is there, its bytes are
really allocated; it is given up when settling meets a full disk, and taken again when there is room. While it is
given up nothing else may use its room, so that it is for settling alone, of one spool at a time.
"""

import errno
import os
from pathlib import Path

from pipeline.threads import Lock

RESERVE_BYTES = 32 * 1024 * 1024
"""Room to bring a write-ahead log (16 MB, and a transaction) into its database, and for the one that follows."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Reserve:
    """A file of `size` allocated bytes at `path`, shared by the spools of one folder."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size = size
        self.turn = Lock()
        """Held by who uses the room that was given up."""

    def take(self) -> bool:
        """Allocate the room where it is missing; return whether it is there."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(handle).st_blocks * 512 >= self.size:
                return True
            self._allocate(handle)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            os.ftruncate(handle, 0)
            return False
        finally:
            os.close(handle)
        return True

    def whole(self) -> bool:
        """Return whether the room is there; once given up it is only taken again where as much is left beside it."""
        try:
            if self.path.stat().st_blocks * 512 >= self.size:
                return True
        except FileNotFoundError:
            pass
        room = os.statvfs(self.path.parent)
        return room.f_bavail * room.f_frsize >= 2 * self.size and self.take()

    def given_up(self) -> bool:
        """Return whether the room is free for settling."""
        try:
            return self.path.stat().st_blocks == 0
        except FileNotFoundError:
            return True

    def give_up(self) -> bool:
        """Free the room; return whether there was any."""
        try:
            held = self.path.stat().st_blocks > 0
            self.path.unlink()
        except FileNotFoundError:
            return False
        return held

    def _allocate(self, handle: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, self.size)
            return
        os.lseek(handle, 0, os.SEEK_SET)
        for _ in range(0, self.size, 1024 * 1024):
            os.write(handle, b"\xff" * 1024 * 1024)
