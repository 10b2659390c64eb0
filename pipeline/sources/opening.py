"""Where reading a file begins: where its log left off, at its beginning, or not at all.

Invariants: a file is opened where its log left off if its first line and what lies before that place are the same,
else at its beginning; one whose first line is not complete is not opened, unless rotation took it away and nothing
more is expected of it.
"""

from enum import Enum
from typing import NamedTuple

from pipeline.sources.formats.format import FormatFactory
from pipeline.sources.lineage import Lineage, Part
from pipeline.sources.logfile import LogFile
from pipeline.sources.origin import Fingerprints
from pipeline.sources.position import Position
from pipeline.sources.tail import Signature, Tail

GRACE_SECONDS = 5.0
"""How long a file that rotation took away must be quiet before nothing more is expected of it."""


class Opened(NamedTuple):
    """A file that is read, and the part of its log that it is."""

    tail: Tail
    part: Part


class Left(Enum):
    """Why a file is not opened: nothing can be told of it yet, it is read to its end, or another holds the same."""

    NOT_YET = "not yet"
    READ = "read"
    ELSEWHERE = "elsewhere"


class Opener:
    """Opens files for `OpenFiles`."""

    def __init__(self, make_format: FormatFactory, key: bytes, fingerprints: Fingerprints) -> None:
        self._make_format = make_format
        self._key = key
        self._fingerprints = fingerprints

    def open(self, lineage: Lineage, file: LogFile, now: float, *, current: bool) -> Opened | Left:
        """Return the reading of `file`, a part of `lineage`; `current` says that a followed path leads to it."""
        line = file.first_line(complete=file.compressed or (not current and _abandoned(lineage, file, now)))
        if line is None or file.status().st_size == 0:
            return Left.NOT_YET
        fingerprint = self._fingerprints.of(line)
        part = lineage.match(file, fingerprint, self._fingerprints)
        start = Position(fingerprint, 0, state=lineage.state())
        copy_of = None
        if part is None:
            if not current and file.status().st_mtime_ns < lineage.since_ns:
                return Left.NOT_YET
        elif part.tail is None:
            start = part.position
            if start.done and (file.compressed or file.status().st_size <= start.offset):
                return Left.READ
        else:
            start = part.position
            if _is_beginning(file, part.tail):
                return Left.ELSEWHERE
            copy_of, part = part, None
        tail = Tail(
            file,
            lineage.stem,
            start,
            first_line=line,
            make_format=self._make_format,
            key=self._key,
            fingerprints=self._fingerprints,
            now=now,
        )
        if part is None:
            part = Part(start, copy_of)
            lineage.parts.append(part)
        return Opened(tail, part)


def _abandoned(lineage: Lineage, file: LogFile, now: float) -> bool:
    """Return whether a file was moved away, and then left alone, before its first line was complete."""
    inode = (file.device, file.inode)
    signature = Signature.of(file.status())
    if signature.size == 0 or file.first_line(complete=False) is not None:
        return False
    known = lineage.newborn.get(inode)
    if known is None or known[0] != signature:
        lineage.newborn[inode] = (signature, now)
        lineage.dirty = True
        return False
    return now - known[1] >= GRACE_SECONDS


def _is_beginning(file: LogFile, tail: Tail) -> bool:
    """Return whether `file`, the same up to the position of `tail`, holds nothing that `tail` has not read."""
    offset = tail.position.offset
    size = file.status().st_size
    if file.compressed or size > tail.consumed:
        return False
    return file.read_at(offset, size - offset) == tail.file.read_at(offset, size - offset)
