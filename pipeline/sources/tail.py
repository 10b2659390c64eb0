"""Reading one open file as it grows.

Invariants: a line is read once it is complete; `position` lies before the first line whose events were not
given out yet; before new bytes are believed, the first line and the bytes read last must still be there, so
that a file that was cut off (and has grown again meanwhile) is noticed, not mistaken for its continuation.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from pipeline.events.identity import FileIdentity
from pipeline.sources.formats.format import FormatFactory
from pipeline.sources.lines import BLOCK_BYTES, Behind
from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Fingerprints, source_name
from pipeline.sources.pieces import cutter_of
from pipeline.sources.position import Position, Trail
from pipeline.sources.reading import RecordMaker
from pipeline.sources.record import Record

_HEAD_BYTES = 256
"""Of the first line: must still be there before new bytes are believed."""

Inode = tuple[int, int]
"""A device and an inode on it."""


class Signature(NamedTuple):
    """By what a change of a file is noticed without opening it."""

    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Signature":
        """Return the signature of a file's status."""
        return cls(status.st_size, status.st_mtime_ns)


class TruncatedError(Exception):
    """The file no longer holds what was read from it."""


class Tail:
    """Reads `file`, of the log `stem`, from `start` on; opened at the monotonic second `now`.

    `current` says that a path which is followed leads to it. `quiet_since` is when it last grew, or stopped
    being current; `opened_at` when reading it began.
    """

    def __init__(
        self,
        file: LogFile,
        stem: str,
        start: Position,
        *,
        first_line: bytes,
        make_format: FormatFactory,
        key: bytes,
        fingerprints: Fingerprints,
        now: float,
    ) -> None:
        self.file = file
        self.current = True
        self.quiet_since = self.opened_at = now
        self.position = replace(
            start, device=file.device, inode=file.inode, changed_ns=file.status().st_mtime_ns, done=False
        )
        self._head = b"" if file.compressed else first_line[:_HEAD_BYTES]
        self._ended = False
        self._trail = Trail(fingerprints, start.offset, start.before(file))
        line_format = make_format(lambda: self.position.changed_ns // 1_000_000)
        self._cutter = cutter_of(line_format, Behind(start.offset, start.given))
        self._maker = RecordMaker(line_format, FileIdentity(key, source_name(stem, start.first, line_format.name)))
        self._maker.restore(start.state)

    @property
    def inode(self) -> Inode:
        """The file's device and inode."""
        return self.file.device, self.file.inode

    @property
    def consumed(self) -> int:
        """The bytes read, those of a line included that is not complete yet."""
        return self._cutter.consumed

    @property
    def waiting(self) -> int:
        """The bytes in memory of a line that is not complete yet."""
        return self._cutter.waiting

    @property
    def foreign(self) -> bool:
        """Whether the file seems to be in another format than the one it is read in."""
        return self._maker.foreign

    def close(self) -> None:
        """Give the file back."""
        self.file.close()

    def read(self, now: float) -> Iterator[Sequence[Record]]:
        """Read a block; yield its records in batches, each once `position` is behind it.

        Nothing is yielded at the end of the file. Raises `TruncatedError`, `UnreadableError` and `OSError`.
        """
        block = self._next_block()
        self._ended = not block
        if self._ended:
            return
        self.quiet_since = now
        self._trail.follow(block)
        changed_ns = self.file.status().st_mtime_ns
        lines = self._cutter.feed(block)
        self._trail.keep(self._cutter.floor)
        for records, end in self._maker.batches(lines, self._cutter):
            self._move(end, changed_ns)
            yield records

    def at_end(self) -> bool:
        """Return whether all there is was read, but for a line that is not complete."""
        return self._ended and (self.file.compressed or self.signature().size <= self._cutter.consumed)

    def finish(self, *, gone: bool = False) -> Sequence[Record]:
        """Return the records of a last line that was never completed; `gone` says that the file lost it."""
        found: list[Record] = []
        for records, end in self._maker.batches(self._cutter.finish(), self._cutter):
            found.extend(records)
            if not gone:
                self._move(end, self.position.changed_ns)
        return found

    def signature(self) -> Signature:
        """Return size and time of change; of a file that the system cannot tell about, one that none has."""
        try:
            return Signature.of(self.file.status())
        except OSError:
            return Signature(-1, -1)

    def _next_block(self) -> bytes:
        if self.file.compressed:
            return self.file.read_at(self._cutter.consumed, BLOCK_BYTES)
        last = self._trail.last
        data = self.file.read_at(self._cutter.consumed - len(last), len(last) + BLOCK_BYTES)
        if data[: len(last)] != last:
            raise TruncatedError
        block = data[len(last) :]
        if block and self.file.read_at(0, len(self._head)) != self._head:
            raise TruncatedError
        return block

    def _move(self, end: Behind, changed_ns: int) -> None:
        self.position = replace(
            self.position,
            offset=end.offset,
            given=end.given,
            check=self._trail.check(end.offset),
            state=self._maker.snapshot(),
            changed_ns=changed_ns,
        )
