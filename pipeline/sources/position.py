"""How far a file has been read, as text that the spool keeps beside the events.

Invariants: a position names only whole lines that were read; it holds no byte of the file, only fingerprints of
its first line and of what lies before the offset, by which the file is known again under whatever name; a
position that does not fit is ignored, for reading again only costs time.
"""

from dataclasses import dataclass

import orjson

from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Fingerprints

CHECK_BYTES = 256
"""Bytes before an offset by which the content is known again."""

FORGET = ""
"""The position of what need not be remembered."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: at byte `offset` of the content, which begins a line.

    `first` and `check` are fingerprints of the first line and of the bytes before the offset (none at 0); lines that
    end before byte `given` were given already, and `state` is what they mean to those that follow. `device`, `inode`
    and `changed_ns` are the file's at that time; `done` says that nothing can come after it.
    """

    first: str
    offset: int
    check: str = ""
    state: str = ""
    device: int = 0
    inode: int = 0
    changed_ns: int = 0
    done: bool = False
    given: int = 0

    @classmethod
    def of(cls, value: object) -> "Position | None":
        """Return the position that `as_plain` gave; None for anything else."""
        if not isinstance(value, dict):
            return None
        try:
            position = cls(**value)
        except TypeError:
            return None
        texts = (position.first, position.check, position.state)
        numbers = (position.offset, position.device, position.inode, position.changed_ns, position.given)
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            return None
        return position if position.offset >= 0 else None

    def as_plain(self) -> dict[str, object]:
        """Return the position as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    def is_of(self, file: LogFile) -> bool:
        """Return whether `file` has the device and inode of the one that was read."""
        return (self.device, self.inode) == (file.device, file.inode)

    def fits(self, file: LogFile, fingerprints: Fingerprints) -> bool:
        """Return whether `file`, whose first line has the right fingerprint, has the same content up to the offset.

        Where reading ended within a line that was never completed there is no going on, only a file in which
        nothing has changed: what is added completes that line, and then all of it is an event.
        """
        piece = self.before(file)
        if len(piece) < min(CHECK_BYTES, self.offset) or (piece and fingerprints.of(piece) != self.check):
            return False
        if not piece or piece.endswith(b"\n"):
            return True
        return self.is_of(file) and (file.compressed or file.status().st_size == self.offset)

    def before(self, file: LogFile) -> bytes:
        """Return what lies before the offset in `file`, up to `CHECK_BYTES`."""
        size = min(CHECK_BYTES, self.offset)
        return file.read_at(self.offset - size, size) if size else b""


class Trail:
    """The end of what was read of a file, from which the fingerprints of its last offsets are made."""

    __slots__ = ("_before", "_block", "_end", "_fingerprints", "_kept")

    def __init__(self, fingerprints: Fingerprints, offset: int, before: bytes) -> None:
        """Begin at `offset`, before which lies `before`."""
        self._fingerprints = fingerprints
        self._end = offset
        self._before = b""
        self._block = before
        self._kept: dict[int, str] = {}

    @property
    def last(self) -> bytes:
        """What was read last, up to `CHECK_BYTES`."""
        return self._piece(len(self._block))

    def follow(self, block: bytes) -> None:
        """Note the next block."""
        self._before = self.last
        self._block = block
        self._end += len(block)

    def keep(self, offset: int | None) -> None:
        """Remember the fingerprint of what lies before `offset`, in the last block, and that of the one before."""
        if offset is None or offset in self._kept:
            return
        while len(self._kept) > 1:
            del self._kept[next(iter(self._kept))]
        self._kept[offset] = self.check(offset)

    def check(self, offset: int) -> str:
        """Return the fingerprint of what lies before `offset`, which is kept, or in or at the end of the last block."""
        if offset in self._kept:
            return self._kept[offset]
        return self._fingerprints.of(self._piece(len(self._block) - (self._end - offset)))

    def _piece(self, end: int) -> bytes:
        """Return what lies before place `end` of the last block."""
        piece = self._block[max(0, end - CHECK_BYTES) : end]
        missing = CHECK_BYTES - len(piece)
        return self._before[-missing:] + piece if missing else piece


def to_text(value: object) -> str:
    """Return JSON text of positions as plain objects."""
    return orjson.dumps(value).decode()


def from_text(text: str) -> object:
    """Return what `to_text` was given; None for what is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
