"""Which file is which: opens what is found and tells continuation, rotated file, copy and newcomer apart.

Invariants: an inode is open at most once; a file is opened where its log left off if its first line and what
lies before that place are the same, else at its beginning; what lay beside a log when it was followed for
the first time stays closed; no log is looked at to which no followed path leads, whoever else follows it; no more
files are open than `OPEN_MAX`, and as many again that rotation took away: those that find no room wait in line.
"""

import os
import resource
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.sources.discovery import Discovery
from pipeline.sources.formats.format import FormatFactory, name_of
from pipeline.sources.lineage import Lineage, Part, remembered
from pipeline.sources.logfile import LogFile, UnreadableError
from pipeline.sources.opening import Left, Opened, Opener
from pipeline.sources.origin import Fingerprints, Folders, inodes_of, stem_of
from pipeline.sources.tail import Inode, Signature, Tail

SIBLINGS_SECONDS = 10.0
RETRY_SECONDS = 2.0


def _room() -> int:
    """Return how many files this process may hold open without want of descriptors for all else."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if limit == resource.RLIM_INFINITY else min(_MOST, max(1, limit // 4))


_MOST = 256
OPEN_MAX = _room()
"""Files held open; beyond, those that have been quiet longest are closed until they change."""

GONE_SECONDS = 86_400.0
"""How long nothing must be left of a log before it is forgotten, however often the process ends meanwhile."""

_SURE_SECONDS = 600.0
"""How much of that the process must have seen itself, for clocks may be wrong and disks mounted late."""

_REMEMBERED_MAX = 1_000
_PREFIX = "follow"


class OpenFiles:
    """The logs that are followed and their open files; `positions` are those of the last run."""

    def __init__(
        self, discovery: Discovery, make_format: FormatFactory, key: bytes, positions: Mapping[str, str]
    ) -> None:
        self._discovery = discovery
        self._fingerprints = Fingerprints(key)
        self._opener = Opener(make_format, key, self._fingerprints)
        self._owners: dict[Inode, tuple[Lineage, Part]] = {}
        self._live: dict[Inode, Lineage | None] = {}
        self._parked: dict[Inode, Signature] = {}
        self._failed: dict[Inode, tuple[Signature, float]] = {}
        self._waiting: dict[Inode, float] = {}
        self._now_ms = 0
        self._folders = Folders()
        self._prefix = f"{_PREFIX}:{name_of(make_format)}:"
        self.lineages, self._others = remembered(positions, self._prefix, discovery.leads_to)

    def key_of(self, lineage: Lineage) -> str:
        """Return the name of a log's position."""
        return self._prefix + lineage.stem

    @property
    def surplus(self) -> int:
        """How many files are too many: open beyond the limit, or waiting until others are closed."""
        return len(self._owners) + len(self._waiting) - OPEN_MAX

    @property
    def _full(self) -> bool:
        """Whether there is no room for files that rotation took away."""
        return len(self._owners) >= 2 * OPEN_MAX

    def tails(self) -> list[Tail]:
        """Return all open files."""
        return [part.tail for _, part in self._owners.values() if part.tail is not None]

    def read_now(self) -> list[Lineage]:
        """Return the logs of which a file is open: of many that came and went there are few."""
        return list({lineage.stem: lineage for lineage, _ in self._owners.values()}.values())

    def look(self, now: float, now_ms: int) -> None:
        """Open what is new, and note what rotation took away; `now` is monotonic, `now_ms` the time."""
        self._now_ms = now_ms
        self._folders.look_again()
        before, self._live = self._live, {}
        self._open_new(self._new_among(before, now), now)
        for inode in [inode for inode in self._parked if inode not in self._live]:
            del self._parked[inode]
        for inode, lineage in before.items():
            if lineage is not None and inode not in self._live:
                lineage.unsettled = True
        self._note_current(now)
        for lineage in self.lineages.values():
            if self._full:
                break
            if lineage.unsettled:
                lineage.parked.clear()
            if lineage.unsettled or now - lineage.looked_at >= SIBLINGS_SECONDS:
                self._look_at(self._folders.siblings_of(lineage.stem), lineage, now)

    def _new_among(self, before: Mapping[Inode, Lineage | None], now: float) -> list[tuple[float, Path, Inode]]:
        """Note which files are followed now, and return those to open, each with since when it waits."""
        new = []
        for path, status in self._discovery.files(now):
            inode = _inode(status)
            lineage = before.get(inode)
            if inode in self._owners:
                lineage = self._owners[inode][0]
            elif not self._resting(self._parked, inode, status, now):
                new.append((self._waiting.get(inode, now), path, inode))
            self._live[inode] = lineage
        return new

    def _open_new(self, new: Sequence[tuple[float, Path, Inode]], now: float) -> None:
        """Open files as far as there is room, those first that wait longest."""
        self._waiting.clear()
        for since, path, inode in sorted(new, key=lambda entry: entry[0]):
            if len(self._owners) >= OPEN_MAX:
                self._waiting[inode] = since
                self._live[inode] = self._lineage_of(path, os.path.realpath(path), inode)
                continue
            self._parked.pop(inode, None)
            opened = self._open(path, now)
            if opened is not None:
                self._live[opened[0]] = opened[1]

    def _note_current(self, now: float) -> None:
        """Tell open files whether a followed path leads to them still."""
        for inode, (_, part) in self._owners.items():
            tail = part.tail
            if tail is not None and tail.current != (inode in self._live):
                tail.current = not tail.current
                tail.quiet_since = now

    def look_at_siblings(self, lineage: Lineage, now: float) -> bool:
        """Open what rotation made of parts that are not read to their end, and what came and went unseen.

        Returns whether there was room for all of it, and nothing was renamed meanwhile: what a rotation moves on
        while its folder is read may be seen twice, or not at all.
        """
        before = inodes_of(lineage.stem)
        self._look_at(sorted(before), lineage, now)
        if inodes_of(lineage.stem) != before:
            lineage.unsettled = True
        return not lineage.unsettled

    def gone(self, now: float) -> list[Lineage]:
        """Forget the logs of which nothing has been left for long, and return them."""
        gone = [
            lineage
            for lineage in self.lineages.values()
            if lineage.gone_since is not None and now - lineage.gone_since >= GONE_SECONDS
        ]
        for lineage in gone:
            del self.lineages[lineage.stem]
        return gone

    def _look_at(self, siblings: Sequence[Path], lineage: Lineage, now: float) -> None:
        lineage.unsettled = False
        lineage.looked_at = now
        found = _without_links(siblings)
        seen = {_inode(status) for _, status in found}
        if seen or lineage.tails():
            lineage.there()
        else:
            lineage.gone(now, self._now_ms, GONE_SECONDS - _SURE_SECONDS)
        for inode in [inode for inode in lineage.newborn if inode not in seen or inode in self._live]:
            del lineage.newborn[inode]
        for path, status in self._unread(found, lineage, now):
            if self._full:
                lineage.unsettled = True
                break
            inode = _inode(status)
            if self._open_sibling(lineage, path, now):
                lineage.newborn.pop(inode, None)
            elif not _leads_to(path, inode):
                lineage.unsettled = True
            elif inode not in lineage.newborn:
                lineage.parked[inode] = Signature.of(status)

    def _unread(
        self, found: Sequence[tuple[Path, os.stat_result]], lineage: Lineage, now: float
    ) -> list[tuple[Path, os.stat_result]]:
        """Return those of a log's files that may hold what was not read, the oldest first."""
        lost = lineage.lost()
        unread = [
            (path, status)
            for path, status in found
            if stat.S_ISREG(status.st_mode)
            and (inode := _inode(status)) not in self._owners
            and inode not in self._live
            and (lost or status.st_mtime_ns >= lineage.since_ns)
            and not self._resting(lineage.parked, inode, status, now)
        ]
        return sorted(unread, key=lambda one: (one[1].st_mtime_ns, one[0].suffix == ".gz", one[0]))

    def release(self, tail: Tail) -> tuple[Lineage, Part]:
        """Close a file; its part keeps its position."""
        tail.close()
        return self.detach(tail)

    def detach(self, tail: Tail) -> tuple[Lineage, Part]:
        """Let go of a file without closing it; its part keeps its position."""
        lineage, part = self._owners.pop(tail.inode)
        part.detach(tail.position)
        return lineage, part

    def covered(self, lineage: Lineage, part: Part, tail: Tail) -> bool:
        """Return whether a copy is open that holds all that `tail` had read as `part`."""
        try:
            return lineage.covered(part, tail.consumed, self._fingerprints)
        except (OSError, UnreadableError):
            return False

    def rest(self, tail: Tail) -> tuple[Lineage, Part]:
        """Close a file until it changes."""
        signature = tail.signature()
        lineage, part = self.release(tail)
        if not tail.file.compressed and signature.size > tail.consumed:
            return lineage, part  # It has changed already.
        self._parked[tail.inode] = signature
        lineage.parked[tail.inode] = signature
        return lineage, part

    def failed_before(self, tail: Tail, now: float) -> bool:
        """Note that a file could not be read, and return whether it was so before and has not changed since."""
        signature = tail.signature()
        known = self._failed.get(tail.inode)
        if len(self._failed) >= _REMEMBERED_MAX:
            self._failed.clear()
        self._failed[tail.inode] = (signature, now)
        return known is not None and known[0] == signature

    def _resting(self, parked: Mapping[Inode, Signature], inode: Inode, status: os.stat_result, now: float) -> bool:
        failed = self._failed.get(inode)
        if failed is not None and now - failed[1] < RETRY_SECONDS:
            return True
        return parked.get(inode) == Signature.of(status)

    def _open(self, path: Path, now: float) -> tuple[Inode, Lineage | None] | None:
        """Open a file that is followed; return its inode and log, None where it cannot be opened."""
        try:
            file = LogFile(path, only_regular=True)
        except UnreadableError as error:
            self._discovery.complain(path, str(error))
            return None
        except OSError as error:
            self._discovery.complain(path, f"{path} cannot be read: {error.strerror}; trying again")
            return None
        inode = (file.device, file.inode)
        taken = False
        lineage = None
        try:
            lineage = self._lineage_of(path, file.real_path, inode)
            taken = inode not in self._owners and self._begin(lineage, file, now, current=True)
            self._discovery.well(path)
        except (OSError, UnreadableError) as error:
            self._discovery.complain(path, f"{path} cannot be read: {error}; trying again")
        finally:
            if not taken:
                file.close()
        return inode, lineage

    def _open_sibling(self, lineage: Lineage, path: Path, now: float) -> bool:
        try:
            file = LogFile(path, only_regular=True, follow=False)
        except (OSError, UnreadableError) as error:
            self._discovery.complain(path, f"{path} cannot be read: {error}; trying again")
            return False
        taken = False
        try:
            taken = (file.device, file.inode) not in self._owners and self._begin(lineage, file, now, current=False)
        except (OSError, UnreadableError) as error:
            self._discovery.complain(path, f"{path} cannot be read: {error}; trying again")
        finally:
            if not taken:
                file.close()
        return taken

    def _lineage_of(self, path: Path, real_path: str, inode: Inode) -> Lineage:
        """Return the log to which `path` leads, new where it was not known."""
        stem = stem_of(real_path)
        lineage = self.lineages.get(stem)
        if lineage is None and stem in self._others:
            lineage = self.lineages[stem] = self._others.pop(stem)
        if lineage is None:
            newest = -1
            for other in self._folders.siblings_of(stem):
                try:
                    status = other.stat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode) and _inode(status) != inode:
                    newest = max(newest, status.st_mtime_ns)
            lineage = self.lineages[stem] = Lineage(stem, newest + 1, str(path))
        lineage.path = str(path)
        return lineage

    def _begin(self, lineage: Lineage, file: LogFile, now: float, *, current: bool) -> bool:
        """Start reading `file` unless there is nothing in it that is not read already; return whether it is."""
        found = self._opener.open(lineage, file, now, current=current)
        if not isinstance(found, Opened):
            if found is Left.READ and current:
                self._parked[file.device, file.inode] = Signature.of(file.status())
            return False
        tail, part = found
        tail.current = current
        part.tail = tail
        lineage.unsettled = lineage.unsettled or current
        self._owners[tail.inode] = (lineage, part)
        lineage.dirty = True
        return True


def _inode(status: os.stat_result) -> Inode:
    return (status.st_dev, status.st_ino)


def _without_links(paths: Sequence[Path]) -> list[tuple[Path, os.stat_result]]:
    """Return what is there, but for links: rotation makes none, and who made one is not asked."""
    found = []
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        if not stat.S_ISLNK(status.st_mode):
            found.append((path, status))
    return found


def _leads_to(path: Path, inode: Inode) -> bool:
    try:
        return _inode(path.stat()) == inode
    except OSError:
        return False
