"""Following files as they are written and rotated: `siemlite ship --follow PATH…`.

Paths and globs are looked at four times a second. Polling, not inotify: it works on every file system (NFS
and overlays among them), never misses an event for a full queue, and costs a few system calls a file; what
was overlooked in between is found by comparing what is there with what is known.

Invariants:
- Every line is given out once, in order within its file, when it is complete; an incomplete last one when
  rotation or truncation has taken its file away.
- A file moved away is read to its end, and for `GRACE_SECONDS` after its last growth, before it is let go.
- Files that came and went between two looks, or while nobody looked, are found among the siblings of their
  log: by first line what was begun, by time of change what is new. A copy made before truncation counts, and
  so do gzip'd files.
- What lies beside a log when it is followed for the first time is old and left alone.
- A file that cannot be read is named once and tried again for ever; a damaged gzip file that no longer
  changes is given up, and what of it can be read is kept.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.clock import Clock
from pipeline.sources.discovery import Discovery
from pipeline.sources.formats.format import FormatFactory, name_of, other_format
from pipeline.sources.lineage import Lineage
from pipeline.sources.logfile import UnreadableError
from pipeline.sources.openfiles import OpenFiles
from pipeline.sources.opening import GRACE_SECONDS
from pipeline.sources.position import FORGET
from pipeline.sources.record import Batch, Record
from pipeline.sources.tail import Tail, TruncatedError

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
TURN_SECONDS = 1.0
"""How long a file is read at least before it makes room for one that waits."""

WAITING_MAX = 32 * 1024 * 1024
"""Bytes in memory of lines that are not complete; beyond, the same."""


class FollowSource:
    """Follows `patterns` (paths or globs) until `stop`; `notify` is told, once, what cannot be read."""

    def __init__(
        self,
        patterns: Sequence[str],
        make_format: FormatFactory,
        key: bytes,
        positions: Mapping[str, str],
        *,
        clock: Clock,
        stop: threading.Event,
        notify: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._notify = notify
        self._stumbled: set[Path] = set()
        self._misread: set[Path] = set()
        self._format = name_of(make_format)
        self._discovery = Discovery(patterns, notify)
        self._files = OpenFiles(self._discovery, make_format, key, positions)
        self.bytes_read = 0
        self.bytes_total = 0

    def batches(self) -> Iterator[Batch]:
        """See `Source.batches`."""
        try:
            while not self._stop.is_set():
                idle = True
                for batch in self.poll():
                    idle = False
                    yield batch
                    if self._stop.is_set():
                        return
                if idle:
                    self._clock.wait(self._stop, POLL_SECONDS)
                    yield Batch()
        finally:
            self.close()

    def close(self) -> None:
        """Give all files back."""
        for tail in self._files.tails():
            self._files.release(tail)

    def poll(self) -> Iterator[Batch]:
        """Look once at what there is and yield what is new; a long read ends in time for the next look."""
        started = self._clock.monotonic()
        self._files.look(started, self._clock.now_ms())
        lineages = self._files.read_now()
        self._measure(lineages)
        busy = True
        while busy:
            busy = False
            for lineage in lineages:
                for tail in lineage.tails():
                    before = tail.consumed
                    yield from self._read(lineage, tail)
                    if tail.consumed > before:
                        self.bytes_read += tail.consumed - before
                        busy = True
                        break
            if self._clock.monotonic() - started >= POLL_SECONDS:
                break
        for lineage in lineages:
            yield from self._let_go(lineage)
        for lineage in [one for one in self._files.lineages.values() if one.dirty]:
            yield self._batch(lineage, ())
        self._close_quiet()
        forgotten = {self._files.key_of(lineage): FORGET for lineage in self._files.gone(started)}
        if forgotten:
            yield Batch((), forgotten)

    def _read(self, lineage: Lineage, tail: Tail) -> Iterator[Batch]:
        try:
            for records in tail.read(self._clock.monotonic()):
                yield self._batch(lineage, records)
            if tail.foreign and tail.file.path not in self._misread:
                self._misread.add(tail.file.path)
                other = other_format(self._format)
                self._notify(f"{tail.file.path}: none of its lines so far is {self._format}; is it --format {other}?")
        except TruncatedError:
            yield from self._truncated(tail)
        except UnreadableError as error:
            yield from self._damaged(tail, error)
        except OSError as error:
            self._discovery.complain(tail.file.path, f"{tail.file.path} cannot be read: {error.strerror}; trying again")
            self._files.failed_before(tail, self._clock.monotonic())
            self._files.release(tail)
        except Exception as error:  # noqa: BLE001 - a defect met in one file must not end the reading of the others
            self._stumble(tail.file.path, error)
            self._files.failed_before(tail, self._clock.monotonic())
            self._files.release(tail)

    def _stumble(self, path: Path, error: Exception) -> None:
        """Tell of a defect that was met in a file, once."""
        if path not in self._stumbled:
            self._stumbled.add(path)
            _log.error("%s cannot be read on", path, exc_info=error)
            self._notify(f"{path} cannot be read on: {type(error).__name__}: {error}; trying again")

    def _batch(self, lineage: Lineage, records: Sequence[Record]) -> Batch:
        lineage.dirty = False
        return Batch(records, {self._files.key_of(lineage): lineage.as_text()})

    def _truncated(self, tail: Tail) -> Iterator[Batch]:
        """Go on in a copy of what was cut off, where there is one; else give out what was incomplete."""
        lineage, part = self._files.detach(tail)
        part.detach(replace(tail.position, device=0, inode=0))
        lineage.parked.clear()
        if self._files.look_at_siblings(lineage, self._clock.monotonic()) and part.tail is None:
            last = () if self._files.covered(lineage, part, tail) else tail.finish(gone=True)
            lineage.settle(part, replace(part.position, done=True))
            yield self._batch(lineage, last)
        tail.close()

    def _damaged(self, tail: Tail, error: UnreadableError) -> Iterator[Batch]:
        """Try again later, for the file may be in the making; one that did not change meanwhile is done."""
        again = self._files.failed_before(tail, self._clock.monotonic())
        if not again:
            self._files.release(tail)
            return
        self._discovery.complain(tail.file.path, str(error))
        yield from self._settle(tail)

    def _let_go(self, lineage: Lineage) -> Iterator[Batch]:
        """Finish files that are read to their end and that nothing will be added to."""
        now = self._clock.monotonic()
        for tail in lineage.tails():
            moved_away = not tail.current and now - tail.quiet_since >= GRACE_SECONDS
            if (moved_away or tail.file.compressed) and tail.at_end():
                # What is older must be known before this is done.
                if lineage.looked_at < now and not self._files.look_at_siblings(lineage, now):
                    self._files.release(tail)
                    continue
                yield from self._settle(tail)

    def _settle(self, tail: Tail) -> Iterator[Batch]:
        last = tail.finish()
        position = replace(tail.position, done=True)
        lineage, part = self._files.rest(tail)
        lineage.settle(part, position)
        yield self._batch(lineage, last)

    def _close_quiet(self) -> None:
        """Close, of the files that are current, as many as are too many: the quiet, then those that had their turn."""
        tails = self._files.tails()
        waiting = sum(tail.waiting for tail in tails)
        surplus = self._files.surplus
        if surplus <= 0 and waiting <= WAITING_MAX:
            return
        for tail in sorted(tails, key=lambda tail: tail.quiet_since):
            if surplus <= 0 and waiting <= WAITING_MAX:
                return
            if tail.current and tail.at_end() and (surplus > 0 or tail.waiting):
                surplus -= 1
                waiting -= tail.waiting
                self._files.rest(tail)
        now = self._clock.monotonic()
        for tail in sorted(self._files.tails(), key=lambda tail: tail.opened_at):
            if self._files.surplus <= 0 or now - tail.opened_at < TURN_SECONDS:
                return
            if tail.current:
                self._files.release(tail)

    def _measure(self, lineages: Sequence[Lineage]) -> None:
        ahead = 0
        for lineage in lineages:
            for tail in lineage.tails():
                if not tail.file.compressed:
                    ahead += max(0, tail.signature().size - tail.consumed)
        self.bytes_total = self.bytes_read + ahead
