"""A log file, opened: plain or gzip'd, read by offsets of what it holds.

Invariants: a file is opened without following what replaced its name meanwhile: path, device and inode are
those of the descriptor; nothing but a regular file, a pipe or a character device is read.
"""

import gzip
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.errors import PermanentError
from pipeline.sources.origin import FIRST_LINE_MAX, first_line

GZIP_MAGIC = b"\x1f\x8b"
_OTHER_MAGIC = {b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}
_OPEN_TRIES = 5


class UnreadableError(PermanentError):
    """A file that holds no lines that could be read; the text names it and says why."""


class _Damage(NamedTuple):
    offset: int
    reason: str


class LogFile:
    """An open file. `regular` ones can be read at any offset; others only onwards."""

    __slots__ = ("_damage", "_raw", "_stream", "compressed", "device", "inode", "path", "real_path", "regular")

    def __init__(self, path: Path, *, only_regular: bool = False, follow: bool = True) -> None:
        """Open `path`; raises `OSError` where that fails and `UnreadableError` for what holds no lines.

        Opening a pipe waits for its writer, unless `only_regular` refuses it; a link is refused unless to `follow`.
        """
        self.path = path
        self._damage: _Damage | None = None
        self._raw, self.real_path = _open(path, os.O_NONBLOCK if only_regular else 0, follow=follow)
        try:
            status = os.fstat(self._raw.fileno())
            self.device, self.inode = status.st_dev, status.st_ino
            self.regular = stat.S_ISREG(status.st_mode)
            if only_regular and not self.regular:
                raise UnreadableError(f"{path} is not a file that can be followed")  # noqa: TRY301
            magic = os.pread(self._raw.fileno(), 8, 0) if self.regular else b""
            _refuse_other_archives(path, magic)
            self.compressed = magic.startswith(GZIP_MAGIC)
            self._stream = gzip.GzipFile(fileobj=self._raw) if self.compressed else None
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        """Give the descriptor back."""
        if self._stream is not None:
            self._stream.close()
        self._raw.close()

    def status(self) -> os.stat_result:
        """Return the file's size, times and links as they are now."""
        return os.fstat(self._raw.fileno())

    def raw_position(self) -> int:
        """Return how much of a compressed file has been read, in bytes as on the disk."""
        return self._raw.tell()

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` of the content; none at its end.

        Going back in a compressed file, which starts from its beginning, costs accordingly. Raises `OSError`
        and, for a damaged compressed file, `UnreadableError`.
        """
        if self._stream is None:
            if self.regular:
                return os.pread(self._raw.fileno(), size, offset)
            return os.read(self._raw.fileno(), size)
        if self._damage is not None and offset >= self._damage.offset:
            raise UnreadableError(
                f"{self.path} is damaged after {self._damage.offset} bytes of its content: {self._damage.reason}"
            )
        pieces: list[bytes] = []
        reached = offset
        try:
            self._stream.seek(offset)
            while reached < offset + size and (piece := self._stream.read1(offset + size - reached)):
                pieces.append(piece)
                reached += len(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._damage = _Damage(reached, str(error))
            if not pieces:
                return self.read_at(offset, size)
        return b"".join(pieces)

    def first_line(self, *, complete: bool) -> bytes | None:
        """Return the first line, see `origin.first_line`; only for a regular file."""
        return first_line(self.read_at(0, FIRST_LINE_MAX + 1), complete=complete)


def _refuse_other_archives(path: Path, magic: bytes) -> None:
    for start, name in _OTHER_MAGIC.items():
        if magic.startswith(start):
            raise UnreadableError(f"{path} is compressed with {name}; unpack it, or use gzip")


def _open(path: Path, flags: int, *, follow: bool) -> tuple[BinaryIO, str]:
    """Return the open file and its real path, of one and the same file though links may change meanwhile."""
    for _ in range(_OPEN_TRIES):
        real = os.path.realpath(path)
        if not follow and real != os.path.join(os.path.realpath(path.parent), path.name):  # noqa: PTH118
            raise UnreadableError(f"{path} is a link")
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW | flags)
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
            os.close(descriptor)
            raise UnreadableError(f"{path} is a {'directory' if stat.S_ISDIR(mode) else 'block device'}, not a file")
        if os.path.realpath(path) == real:
            return os.fdopen(descriptor, "rb", buffering=0), real
        os.close(descriptor)
    raise UnreadableError(f"{path} changes all the time")
