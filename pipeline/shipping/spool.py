"""The spool: events on disk between the moment they are accepted and the moment Elasticsearch has them.

Invariants:
- One SQLite database in WAL mode belongs to one writing process, which holds its writer's lock (see
  `spools`); a lock that nobody holds means that the process is gone and anyone may adopt the spool. One
  process at a time sends from a spool and holds its sender's lock.
- Writing: `append` is one transaction with `synchronous=FULL`; when it returns, chunks and positions are
  durable together, and when it raises, neither is there.
- A chunk is a row of bulk-ready, redacted lines, encoded once and never changed but by `settle`.
- Settling: `settle` is one transaction that removes a chunk, or leaves exactly its unresolved remainder.
  It may be forgotten by a power failure, because whatever is sent again is answered with 409.
- No reading stays open when a method returns or raises: SQLite refuses a connection's write at once, without
  waiting, where the same connection still reads from before another's.
- Writes of one process to one spool, through however many `Spool`s, stand in line for one lock; those of
  other processes wait for SQLite's.
- On a full disk settling goes on, in the room that the reserve gives up; nothing is appended until it is whole.
- Bytes held are counted in the rows themselves, so a bound on them needs no look at the file system. What was
  ever spooled and settled is counted there too; a remainder counts as never settled.
"""

import os
import sqlite3
import weakref
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RetryableError
from pipeline.shipping.database import connect, damage_told
from pipeline.shipping.forks import guard, opening
from pipeline.shipping.reserve import Reserve
from pipeline.threads import Lock

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_VACUUM_PAGES = 256
_VACUUM_STEP = 4096


class SpoolFullError(RetryableError):
    """The disk, or the spool's bound, has no room; the events are still with the caller."""


class Chunk(NamedTuple):
    """Bulk-ready lines to be spooled: `rank` is the level of all of them (0 info, 1 warn, 2 error), or -1 mixed."""

    body: bytes
    events: int
    rank: int = -1


class Spooled(NamedTuple):
    """A chunk as it lies in the spool."""

    id: int
    spooled_ms: int
    events: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Depth:
    """What a spool holds: events and bytes not yet settled, and when the oldest of them was spooled.

    `spooled` and `settled` are the events that ever were, for as long as the spool exists; of the settled ones
    `refused` went to the dead letters.
    """

    events: int
    bytes: int
    oldest_ms: int | None
    spooled: int = 0
    settled: int = 0
    refused: int = 0


class Spool:
    """One spool database. Safe to use from several threads of one process."""

    def __init__(self, path: Path, *, max_bytes: int, reserve: Reserve | None = None, make: bool = True) -> None:
        """Open the database at `path`; where there is none, make it, or without `make` raise `FileNotFoundError`.

        `max_bytes` bounds the unsettled bytes it takes; `reserve` is given up where settling finds the disk full.
        """
        self.path = path
        self.max_bytes = max_bytes
        self._reserve = reserve
        self.mutex = Lock()
        """Held within SQLite."""
        self._turn = _turn_for(path)
        self._closed = False
        if not path.exists():
            if not make:
                raise FileNotFoundError(f"{path} was removed")
            # Never for a database that this process may have open: closing a file drops all its locks on it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.position_version = 0
        """Of the positions stored last: of two for one source the later version holds, see `Spools.positions`.

        It is the time, or one more than the one before where the clock has gone back.
        """
        with self._turn, opening:
            self._db = connect(path)
            guard(self)

    def append(self, chunks: Sequence[Chunk], positions: Mapping[str, str], now_ms: int) -> None:
        """Make `chunks` and `positions` durable together; an empty position says that there is none.

        Raises `SpoolFullError`, and keeps nothing, where the bound or the disk has no room.
        """
        if self._reserve is not None and chunks and not self._reserve.whole():
            raise SpoolFullError(f"spool {self.path.name}: the disk is full")
        with self._turn, self.mutex, damage_told(self.path), self._transaction(durable=True):
            if chunks:
                held = self._db.execute("SELECT bytes FROM held").fetchone()[0]
                if held + sum(len(chunk.body) for chunk in chunks) > self.max_bytes:
                    raise SpoolFullError(f"spool {self.path.name} is full ({held} bytes; SIEMLITE_SPOOL_MAX_BYTES)")
                self._db.executemany(
                    "INSERT INTO chunk (spooled_ms, events, bytes, rank, body) VALUES (?, ?, ?, ?, ?)",
                    [(now_ms, chunk.events, len(chunk.body), chunk.rank, chunk.body) for chunk in chunks],
                )
            if positions:
                self._db.executemany("DELETE FROM position WHERE source = ?", [(source,) for source in positions])
                self.position_version = max(self.position_version + 1, now_ms)
                kept = [(source, data, self.position_version) for source, data in positions.items()]
                self._db.executemany("INSERT INTO position (source, data, version) VALUES (?, ?, ?)", kept)

    def take(self, after_id: int, max_bytes: int, skip: Container[int] = ()) -> list[Spooled]:
        """Return the oldest chunks with ids above `after_id` and not in `skip`.

        They come to at most `max_bytes`, or are a single larger one.
        """
        size = 0
        wanted: list[int] = []
        query = "SELECT id, bytes FROM chunk WHERE id > ? ORDER BY id"
        with self.mutex, damage_told(self.path):
            with closing(self._db.execute(query, (after_id,))) as rows:
                for chunk_id, chunk_bytes in rows:
                    if chunk_id in skip:
                        continue
                    if wanted and size + chunk_bytes > max_bytes:
                        break
                    wanted.append(chunk_id)
                    size += chunk_bytes
            return [chunk for chunk_id in wanted if (chunk := self._chunk(chunk_id)) is not None]

    def take_again(self, ids: Sequence[int], max_bytes: int) -> list[Spooled]:
        """Return the first of the chunks `ids` that are still there; they come to `max_bytes` as in `take`."""
        taken: list[Spooled] = []
        size = 0
        with self.mutex, damage_told(self.path):
            for chunk_id in ids:
                chunk = self._chunk(chunk_id)
                if chunk is None:
                    continue
                if taken and size + len(chunk.body) > max_bytes:
                    break
                taken.append(chunk)
                size += len(chunk.body)
        return taken

    def _chunk(self, chunk_id: int) -> Spooled | None:
        query = "SELECT id, spooled_ms, events, body FROM chunk WHERE id = ?"
        row = self._db.execute(query, (chunk_id,)).fetchone()
        return None if row is None else Spooled(*row)

    def settle(self, settled: Sequence[Spooled], remainder: Sequence[Chunk] = (), *, refused: int = 0) -> list[int]:
        """Remove chunks; `remainder` takes their place, with the age of the oldest. Return its ids.

        `refused` of their events went to the dead letters. Raises `SpoolFullError`, and changes nothing, where not
        even the reserve has room.
        """
        if self._reserve is None or not self._reserve.given_up():
            try:
                return self._settle(settled, remainder, refused)
            except SpoolFullError:
                if self._reserve is None:
                    raise
                self._reserve.give_up()
        with self._reserve.turn:
            # The room must come back at once, for that of all spools together is no larger.
            try:
                return self._settle(settled, remainder, refused)
            finally:
                self.fold()

    def _settle(self, settled: Sequence[Spooled], remainder: Sequence[Chunk], refused: int) -> list[int]:
        with self._turn, self.mutex, damage_told(self.path), self._transaction(durable=False):
            self._db.executemany("DELETE FROM chunk WHERE id = ?", [(chunk.id,) for chunk in settled])
            age = min(chunk.spooled_ms for chunk in settled)
            again = sum(chunk.events for chunk in remainder)
            if again:
                self._db.execute("UPDATE held SET spooled = spooled - ?, settled = settled - ?", (again, again))
            if refused:
                self._db.execute("UPDATE held SET refused = refused + ?", (refused,))
            return [
                self._db.execute(
                    "INSERT INTO chunk (spooled_ms, events, bytes, rank, body) VALUES (?, ?, ?, ?, ?) RETURNING id",
                    (age, chunk.events, len(chunk.body), chunk.rank, chunk.body),
                ).fetchone()[0]
                for chunk in remainder
            ]

    def fold(self) -> bool:
        """Bring what was written into the database and give the journal's room back; return whether that went."""
        try:
            with self._turn, self.mutex:
                if self._closed:
                    return False
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return False
        return not busy

    def positions(self) -> dict[str, tuple[int, str]]:
        """Return what sources stored of where they are, each with the version it was stored with."""
        with self.mutex, damage_told(self.path):
            rows = self._db.execute("SELECT source, version, data FROM position").fetchall()
        return {source: (version, data) for source, version, data in rows}

    def drop_positions(self, sources: Iterable[str]) -> None:
        """Forget the positions of `sources`, as if they had never been stored."""
        with self._turn, self.mutex, damage_told(self.path), self._transaction(durable=False):
            self._db.executemany("DELETE FROM position WHERE source = ?", [(source,) for source in sources])

    def depth(self) -> Depth:
        """Return what the spool holds now."""
        with self.mutex, damage_told(self.path):
            row = self._db.execute("SELECT events, bytes, spooled, settled, refused FROM held").fetchone()
            oldest = self._db.execute("SELECT spooled_ms FROM chunk ORDER BY id LIMIT 1").fetchone()
        events, size, spooled, settled, refused = row
        return Depth(events, size, oldest[0] if oldest is not None else None, spooled, settled, refused)

    def give_back(self) -> bool:
        """Return file space that settled chunks left behind to the file system; return whether there is more.

        One call takes a bounded step, for nobody reads or writes meanwhile. On a closed spool, or where the disk has
        no room for the step, it does nothing.
        """
        with self._turn, self.mutex, damage_told(self.path):
            if self._closed:
                return False
            try:
                surplus = self._db.execute("PRAGMA freelist_count").fetchone()[0] - _VACUUM_PAGES
                if surplus > 0:
                    # Only a script is stepped to its end: a single statement would free one page.
                    self._db.executescript(f"PRAGMA incremental_vacuum({min(surplus, _VACUUM_STEP)})")
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.OperationalError:  # The disk is full, or another process reads: another time, then.
                return False
        if self._reserve is not None:
            self._reserve.take()
        return bool(surplus > _VACUUM_STEP)

    def close(self) -> None:
        """Close the database; what it holds stays."""
        with self.mutex:
            self._closed = True
            self._db.close()

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[None]:
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) in _NO_ROOM:
                raise SpoolFullError(f"spool {self.path.name}: the disk is full") from error
            raise RetryableError(f"spool {self.path}: {error}") from error


_turns: "weakref.WeakValueDictionary[Path, Lock]" = weakref.WeakValueDictionary()
_turns_lock = Lock()


def _turn_for(path: Path) -> Lock:
    """Return the lock that this process's writers to the database at `path` share."""
    with _turns_lock:
        return _turns.setdefault(path.absolute(), Lock())


def _forget_turns() -> None:
    """A fork's child must not wait for threads that only its parent has."""
    global _turns, _turns_lock
    _turns, _turns_lock = weakref.WeakValueDictionary(), Lock()


os.register_at_fork(after_in_child=_forget_turns)
