"""The spools of a home: who writes into which, and who sends from them.

Invariants: a spool is `NAME.db`, its writer's lock `NAME.lock`, its sender's `NAME.send`, all in one
folder; the spools of file readers (`files-N`) are kept for the positions in them, all others are removed
once their writer is gone and they are empty; of two positions of one source the one holds that was stored later, or
by a reader who knew the other, whatever the clock says; one that cannot be used is passed over, and a damaged one set
aside as `NAME.damaged`.
"""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import RetryableError
from pipeline.shipping.database import UnusableSpoolError
from pipeline.shipping.home import private_folder
from pipeline.shipping.locks import FileLock
from pipeline.shipping.reserve import Reserve
from pipeline.shipping.spool import Spool

_READERS = "files-"
_MOST_READERS = 1_000
_MOST_ASIDE = 100
_SUFFIXES = (".db", ".db-wal", ".db-shm", ".lock", ".send")
"""Of the files of a spool, in the order in which they are removed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnedSpool:
    """A spool and the writer's lock on it."""

    spool: Spool
    lock: FileLock

    def close(self) -> None:
        """Close the spool and let others adopt it."""
        self.spool.close()
        self.lock.release()


class Spools:
    """The spools in `folder`; each opened with the bound `max_bytes`."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = private_folder(folder)
        self._max_bytes = max_bytes
        self._reserve = Reserve(self.folder / "reserve")
        self._reserve.take()

    def for_writer(self) -> OwnedSpool:
        """Return a new spool for this process."""
        while True:
            owned = self._own(secrets.token_hex(8))
            if owned is not None:
                return owned

    def for_reader(self) -> OwnedSpool:
        """Return the first file readers' spool that can be used and no other process writes into."""
        for number in range(1, _MOST_READERS):
            try:
                owned = self._own(f"{_READERS}{number}")
                if owned is None:
                    continue
                try:
                    self._take_over(owned.spool)
                except UnusableSpoolError:
                    owned.close()
                    raise
            except UnusableSpoolError as error:
                _log.warning("%s; its events and positions are left where they are", error)
                continue
            return owned
        raise RetryableError(f"{_MOST_READERS} processes read files for {self.folder} already")

    def positions(self) -> dict[str, str]:
        """Return the positions that file readers stored, in whichever spool."""
        newest: dict[str, tuple[int, str]] = {}
        for found in self._positions().values():
            for source, stored in found.items():
                newest[source] = max(stored, newest.get(source, stored), key=lambda stored: stored[0])
        return {source: data for source, (_, data) in newest.items() if data}

    def left_by_readers(self) -> list[Path]:
        """Return the file readers' spools that hold events, and that nobody writes into now."""
        found = []
        for path in sorted(self.folder.glob(f"{_READERS}*.db")):
            with suppress(FileNotFoundError, UnusableSpoolError), self.opened(path) as spool:
                if spool.depth().events and not FileLock(path.with_suffix(".lock")).taken():
                    found.append(path)
        return found

    def _positions(self) -> dict[Path, dict[str, tuple[int, str]]]:
        found = {}
        for path in sorted(self.folder.glob(f"{_READERS}*.db")):
            with suppress(FileNotFoundError, UnusableSpoolError), self.opened(path) as spool:
                found[path] = spool.positions()
        return found

    def _take_over(self, spool: Spool) -> None:
        """Let what `spool` stores from now on hold against all others; drop from it what no longer counts."""
        elsewhere: dict[str, int] = {}
        stored = self._positions()
        mine = spool.positions()
        stored.pop(spool.path, None)
        for found in stored.values():
            for source, (version, _) in found.items():
                elsewhere[source] = max(version, elsewhere.get(source, version))
        versions = [*elsewhere.values(), *(version for version, _ in mine.values())]
        spool.position_version = max(versions, default=0)
        spool.drop_positions(
            source
            for source, (version, data) in mine.items()
            if version < elsewhere.get(source, version) or (not data and source not in elsewhere)
        )

    @contextmanager
    def opened(self, path: Path) -> Iterator[Spool]:
        """Open the spool at `path` to look at it; raises `FileNotFoundError` where it is gone."""
        try:
            spool = Spool(path, max_bytes=self._max_bytes, make=False)
            try:
                yield spool
            finally:
                spool.close()
        except sqlite3.Error as error:
            if path.exists():
                raise
            raise FileNotFoundError(f"{path} was removed meanwhile") from error

    def paths(self) -> list[Path]:
        """Return the databases that are there."""
        return sorted(self.folder.glob("*.db"))

    def adopt(self, path: Path) -> "AdoptedSpool | None":
        """Return the spool at `path` for sending, unless another process sends from it."""
        lock = FileLock(path.with_suffix(".send"))
        if not lock.acquire():
            return None
        if not path.exists():
            # It was removed meanwhile, and this look must not leave a lock's file behind.
            lock.path.unlink(missing_ok=True)
            lock.release()
            return None
        return AdoptedSpool(self._open(path, lock), lock)

    def set_aside(self, path: Path) -> Path | None:
        """Give a damaged spool another name, for somebody to look into; None where a process uses it still."""
        names = (f"{path.stem}.damaged", *(f"{path.stem}.{number}.damaged" for number in range(2, _MOST_ASIDE)))
        aside = next((other for name in names if not (other := path.with_name(name)).exists()), None)
        writer, sender = FileLock(path.with_suffix(".lock")), FileLock(path.with_suffix(".send"))
        try:
            if aside is None or not (writer.acquire() and sender.acquire()):
                return None
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        finally:
            sender.release()
            writer.release()
        return aside

    def orphaned(self, path: Path) -> bool:
        """Return whether the spool at `path` may be removed once it is empty: its writer is gone for good."""
        if path.name.startswith(_READERS):
            return False
        return not FileLock(path.with_suffix(".lock")).taken()

    def discard(self, adopted: "AdoptedSpool") -> bool:
        """Remove an adopted spool if its writer is gone and it is empty; return whether it was removed."""
        path = adopted.spool.path
        if path.name.startswith(_READERS):
            return False
        writer = FileLock(path.with_suffix(".lock"))
        if not writer.acquire():
            return False
        try:
            if adopted.spool.depth().events:
                return False
            adopted.spool.close()
            for leftover in _files_of(path):
                leftover.unlink(missing_ok=True)
        finally:
            writer.release()
            adopted.lock.release()
        return True

    def sweep(self) -> None:
        """Remove what was left by a process that was killed while it removed a spool."""
        present = {path.stem for path in self.paths()}
        left = {path.stem for path in self.folder.iterdir() if path.suffix in _SUFFIXES[1:]} - present
        for path in (self.folder / f"{name}.db" for name in left if not name.startswith(_READERS)):
            writer, sender = FileLock(path.with_suffix(".lock")), FileLock(path.with_suffix(".send"))
            try:
                with suppress(UnusableSpoolError):  # Somebody else's, who may sweep it himself.
                    if writer.acquire() and sender.acquire() and not path.exists():
                        for leftover in _files_of(path):
                            leftover.unlink(missing_ok=True)
            finally:
                sender.release()
                writer.release()

    def _own(self, name: str) -> OwnedSpool | None:
        path = self.folder / f"{name}.db"
        lock = FileLock(path.with_suffix(".lock"))
        if not lock.acquire():
            return None
        return OwnedSpool(self._open(path, lock), lock)

    def _open(self, path: Path, lock: FileLock) -> Spool:
        """Open a spool of which we have `lock`, which is given back where that fails or it cannot be read."""
        try:
            spool = Spool(path, max_bytes=self._max_bytes, reserve=self._reserve)
            try:
                spool.depth()
            except BaseException:
                spool.close()
                raise
        except BaseException:
            lock.release()
            raise
        return spool


@dataclass(frozen=True, slots=True)
class AdoptedSpool:
    """A spool and the sender's lock on it."""

    spool: Spool
    lock: FileLock

    def close(self) -> None:
        """Send no more from it."""
        self.spool.close()
        self.lock.release()


def _files_of(path: Path) -> Iterator[Path]:
    for suffix in _SUFFIXES:
        yield path.with_suffix(suffix)
