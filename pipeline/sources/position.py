"""How far a file has been read, as text that the spool keeps beside the events.

Invariants: a position names only whole lines that were read; it holds no byte of the file, only marks of
its first line and of what lies before the offset, by which the file is known again under whatever name; a
position that does not fit is ignored, for reading again only costs time.
"""

from dataclasses import asdict, dataclass

import orjson

from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Marks

CHECK_BYTES = 64
"""Bytes before an offset by which the content is known again."""

FORGET = ""
"""The position of what need not be remembered."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: at byte `offset` of the content, which begins a line.

    `first` and `check` are marks of the first line and of the bytes before the offset (none: not known);
    `state` is the format's. `device`, `inode` and `changed_ns` are the file's at that time; `done` says that
    nothing can come after it.
    """

    first: str
    offset: int
    check: str = ""
    state: str = ""
    device: int = 0
    inode: int = 0
    changed_ns: int = 0
    done: bool = False

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
        numbers = (position.offset, position.device, position.inode, position.changed_ns)
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            return None
        return position if position.offset >= 0 else None

    def as_plain(self) -> dict[str, object]:
        """Return the position as a JSON object."""
        return asdict(self)

    def is_of(self, file: LogFile) -> bool:
        """Return whether `file` has the device and inode of the one that was read."""
        return (self.device, self.inode) == (file.device, file.inode)

    def fits(self, file: LogFile, marks: Marks) -> bool:
        """Return whether `file`, whose first line has the right mark, has the same content up to the offset."""
        before = min(CHECK_BYTES, self.offset)
        piece = file.read_at(self.offset - before, before)
        return len(piece) == before and (not self.check or marks.of(piece) == self.check)


def check_of(file: LogFile, marks: Marks, offset: int) -> str:
    """Return the mark of what lies before `offset`; none for a compressed file, where going back is costly."""
    if file.compressed:
        return ""
    before = min(CHECK_BYTES, offset)
    return marks.of(file.read_at(offset - before, before))


def to_text(value: object) -> str:
    """Return JSON text of positions as plain objects."""
    return orjson.dumps(value).decode()


def from_text(text: str) -> object:
    """Return what `to_text` was given; None for what is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
