"""Cutting blocks of bytes into lines, in constant memory.

Invariants: every byte belongs to exactly one line; a line's offset is where its first byte lies in the
source, however the blocks fell; a line of more than `LINE_MAX` bytes is given by its first and its last
`HEAD_BYTES`, parted by `CUT`, which no line holds, and the number of bytes left out, and never held whole; NULs
at the beginning of a line are not given.

Where a log is cut off while its writer holds a place in it (copytruncate, and no O_APPEND), the file grows again
behind a hole as long as all that was written before, which reads as NULs.
"""

from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add
from typing import NamedTuple

LINE_MAX = 1_000_000
"""Bytes up to which a line is kept whole, its ending not counted."""

HEAD_BYTES = 64 * 1024
"""What is kept of each end of a longer one: who can make one member of an object long shall not hide the others."""

CUT = b"\n"
"""Stands in a line where its middle was left out."""

BLOCK_BYTES = 256 * 1024
"""How much is read at once."""


class Behind(NamedTuple):
    """Where reading goes on: at `offset`, without giving again the lines that end before `given`."""

    offset: int
    given: int


BEGINNING = Behind(0, 0)

Line = tuple[int, bytes, int]
"""A line: its offset, its bytes without the ending (`\\n` or `\\r\\n`), how many bytes it lacks at `CUT`."""


class LineCutter:
    """Cuts one source, from byte `offset` on.

    `offset` is where the line begins that is not complete yet; `consumed` the bytes that were fed.
    """

    __slots__ = ("_carriage", "_head", "_hole", "_pending", "_skipped", "_tail", "consumed", "offset")

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.consumed = offset
        self._pending = b""
        self._hole = 0
        self._head = b""
        self._tail = b""
        self._skipped = 0
        self._carriage = False

    @property
    def floor(self) -> None:
        """See `pieces.Cutter`: reading goes on at `offset`."""
        return None

    @property
    def waiting(self) -> int:
        """The bytes in memory of the line that is not complete yet."""
        return len(self._pending) + len(self._head) + len(self._tail)

    def feed(self, block: bytes) -> list[Line]:
        """Return the lines that `block`, the next bytes of the source, completes."""
        self.consumed += len(block)
        if not self._skipped:
            return self._cut(self._pending + block if self._pending else block)
        end = block.find(b"\n")
        passed = block if end < 0 else block[:end]
        self._skipped += len(passed)
        if passed:
            self._carriage = passed.endswith(b"\r")
            self._tail = (self._tail + passed)[-HEAD_BYTES - 1 :]
        if end < 0:
            return []
        first = self._long_line(1)
        return [first, *self._cut(block[end + 1 :])]

    def behind(self, lines: Sequence[Line], index: int) -> Behind:
        """Return where reading goes on behind line `index` of `lines`, which were given last."""
        offset = lines[index + 1][0] if index + 1 < len(lines) else self.offset
        return Behind(offset, offset)

    def finish(self) -> list[Line]:
        """Return what is left as a line, where the source has ended without a line ending."""
        if self._skipped:
            return [self._long_line(0)]
        data, self._pending, self._hole = self._pending, b"", 0
        if not data:
            return []
        line = _line(self.offset, data)
        self.offset = self.consumed
        return [line]

    def _long_line(self, ending: int) -> Line:
        tail = self._tail.removesuffix(b"\r")[-HEAD_BYTES:]
        line = (self.offset, self._head + CUT + tail, self._skipped - self._carriage - len(tail))
        self.offset += self._hole + len(self._head) + self._skipped + ending
        self._head, self._tail, self._skipped, self._hole = b"", b"", 0, 0
        return line

    def _cut(self, data: bytes) -> list[Line]:
        holes = b"\0" in data
        if holes and data[0] == 0:
            whole = len(data)
            data = data.lstrip(b"\0")
            self._hole += whole - len(data)
        parts = data.split(b"\n")
        rest = parts.pop()
        offsets = list(accumulate(map(add, map(len, parts), repeat(1)), initial=self.offset))
        if self._hole and parts:
            offsets = [offsets[0], *(offset + self._hole for offset in offsets[1:])]
            self._hole = 0
        self.offset = offsets.pop()
        if holes and rest:
            bare = rest.lstrip(b"\0")
            self._hole += len(rest) - len(bare)
            rest = bare
        if len(data) <= LINE_MAX and not holes and b"\r" not in data:
            lines = list(zip(offsets, parts, repeat(0)))
        else:
            lines = list(map(_line, offsets, parts))
        if len(rest) > LINE_MAX + 1:
            self._head, self._skipped, self._pending = rest[:HEAD_BYTES], len(rest) - HEAD_BYTES, b""
            self._tail = rest[-HEAD_BYTES - 1 :]
            self._carriage = rest.endswith(b"\r")
        else:
            self._pending = rest
        return lines


def _line(offset: int, data: bytes) -> Line:
    data = data.removesuffix(b"\r").lstrip(b"\0")
    if len(data) > LINE_MAX:
        return (offset, data[:HEAD_BYTES] + CUT + data[-HEAD_BYTES:], len(data) - 2 * HEAD_BYTES)
    return (offset, data, 0)
