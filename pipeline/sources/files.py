"""Reading files once, from beginning to end: `siemlite ship FILE…`.

Invariants: each line is read once, a last one without a line ending included; memory does not grow with the
file. While a file is being read its position says how far, so that an interrupted run goes on there; once
it is done nothing of it is remembered, and reading it again gives the same events with the same ids: what depends
on the time of receipt depends on the file's last change.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.events.identity import FileIdentity
from pipeline.sources.formats.format import FormatFactory
from pipeline.sources.lines import BLOCK_BYTES, Behind
from pipeline.sources.logfile import LogFile, UnreadableError
from pipeline.sources.origin import Fingerprints, first_line, source_name, stem_of
from pipeline.sources.pieces import cutter_of
from pipeline.sources.position import FORGET, Position, Trail, from_text, to_text
from pipeline.sources.reading import RecordMaker
from pipeline.sources.record import Batch

_PREFIX = "read:"


class FileSource:
    """Reads `paths` one after the other, until `stop`.

    `positions` are those of the last run. What turns out to be unreadable on the way is named in `problems`,
    and the other files are read. Raises `ConfigurationError` for a path that cannot be opened at all.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        make_format: FormatFactory,
        key: bytes,
        positions: Mapping[str, str],
        stop: threading.Event,
    ) -> None:
        self._paths = tuple(paths)
        self._stop = stop
        self._make_format = make_format
        self._key = key
        self._fingerprints = Fingerprints(key)
        self._positions = positions
        self.problems: list[str] = []
        self.unread_lines = 0
        self.bytes_read = 0
        self.bytes_total = sum(_size(path) for path in self._paths)

    def batches(self) -> Iterator[Batch]:
        """Yield what the files hold."""
        before = 0
        for path in self._paths:
            if self._stop.is_set():
                return
            size = 0
            try:
                file = LogFile(path)
                try:
                    size = file.status().st_size
                    yield from self._file(file, before)
                finally:
                    file.close()
            except (UnreadableError, OSError) as error:
                self._complain(path, error)
            before += size
            self.bytes_read = before

    def _file(self, file: LogFile, before: int) -> Iterator[Batch]:
        head = file.read_at(0, BLOCK_BYTES)
        fingerprint = self._fingerprints.of(first_line(head, complete=len(head) < BLOCK_BYTES) or b"")
        changed_ms = file.status().st_mtime_ns // 1_000_000
        received_ms = changed_ms if file.regular else None
        line_format = self._make_format(lambda: changed_ms)
        name = source_name(stem_of(file.real_path), fingerprint, line_format.name)
        identity = FileIdentity(self._key, name) if file.regular else None
        maker = RecordMaker(line_format, identity)
        key = f"{_PREFIX}{line_format.name}:{file.real_path}"
        start = self._resumed(file, key, fingerprint) or Position(fingerprint, 0)
        maker.restore(start.state)
        cutter = cutter_of(line_format, Behind(start.offset, start.given))
        trail = Trail(self._fingerprints, start.offset, start.before(file))
        block = self._next(file, start.offset) if start.offset else head
        while block:
            raw = file.raw_position() if file.compressed else cutter.consumed + len(block)
            self.bytes_read = before + raw
            trail.follow(block)
            lines = cutter.feed(block)
            trail.keep(cutter.floor)
            for records, end in maker.batches(lines, cutter):
                positions = {}
                if identity is not None:
                    position = Position(
                        fingerprint, end.offset, trail.check(end.offset), maker.snapshot(), given=end.given
                    )
                    positions[key] = to_text(position.as_plain())
                yield Batch(records, positions, received_ms)
            if self._stop.is_set():
                if identity is not None:
                    return
                break
            block = self._next(file, cutter.consumed)
        for records, _ in maker.batches(cutter.finish(), cutter):
            yield Batch(records, received_ms=received_ms)
        self.unread_lines += maker.format.unread
        if identity is not None:
            yield Batch((), {key: FORGET})

    def _next(self, file: LogFile, offset: int) -> bytes:
        """Return the next block; what cannot be read ends the file there."""
        try:
            return file.read_at(offset, BLOCK_BYTES)
        except (UnreadableError, OSError) as error:
            self._complain(file.path, error)
            return b""

    def _complain(self, path: Path, error: UnreadableError | OSError) -> None:
        reason = f"{path} cannot be read to its end: {error.strerror}" if isinstance(error, OSError) else str(error)
        self.problems.append(reason)

    def _resumed(self, file: LogFile, key: str, fingerprint: str) -> Position | None:
        """Return where an interrupted run left this very file."""
        position = Position.of(from_text(self._positions.get(key, FORGET)))
        if (
            not file.regular
            or position is None
            or position.first != fingerprint
            or not position.fits(file, self._fingerprints)
        ):
            return None
        return position


def _size(path: Path) -> int:
    """Return the size of a file that can be opened; raises `ConfigurationError` that names one that cannot."""
    try:
        if path.is_fifo():
            if not os.access(path, os.R_OK):
                raise ConfigurationError(f"{path} cannot be read: Permission denied")
            return 0
        file = LogFile(path)
    except UnreadableError as error:
        raise ConfigurationError(str(error)) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        return file.status().st_size
    finally:
        file.close()
