"""The database behind a spool: its tables, how an older one becomes today's, and how it is opened.

Invariants: a database has one of the formats, whole, or none; one that a newer siemlite wrote is left alone; a
database that was removed meanwhile does not come to life again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RetryableError, SiemliteError

_FIRST_FORMAT = """
CREATE TABLE chunk (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    spooled_ms INTEGER NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE position (source TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE held (one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO held VALUES (1, 0, 0);
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    UPDATE held SET events = events + new.events, bytes = bytes + new.bytes;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    UPDATE held SET events = events - old.events, bytes = bytes - old.bytes;
END;
"""
_SECOND_FORMAT = """
ALTER TABLE held ADD COLUMN spooled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE held SET spooled = events;
DROP TRIGGER chunk_added;
DROP TRIGGER chunk_removed;
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
    UPDATE held SET events = events + new.events, bytes = bytes + new.bytes, spooled = spooled + new.events;
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunk BEGIN
    UPDATE held SET events = events - old.events, bytes = bytes - old.bytes, settled = settled + old.events;
END;
"""
_THIRD_FORMAT = """
ALTER TABLE position ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE held ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
"""
_FORMATS = (_FIRST_FORMAT, _SECOND_FORMAT, _THIRD_FORMAT)
"""How a database becomes one of each format, from the one before it."""

_BUSY_SECONDS = 30.0
_BUSY_OPENING_SECONDS = 2.0
"""Shorter, because forks wait for it; another process makes or changes the same database meanwhile."""

FAILURES = (SiemliteError, OSError, sqlite3.Error)
"""What using a spool raises when its disk, or its database, fails."""

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class UnusableSpoolError(RetryableError):
    """A file that is no spool for this siemlite; `damaged` says that it is none for any."""

    def __init__(self, text: str, *, damaged: bool) -> None:
        super().__init__(text)
        self.damaged = damaged


def connect(path: Path) -> sqlite3.Connection:
    """Open the database at `path` and bring it to the last of the formats.

    Raises `FileNotFoundError` where its file is gone, and `UnusableSpoolError`, changing nothing, where it is damaged,
    or not ours to read, or of a newer siemlite.
    """
    db = _opened(path)
    try:
        db.execute("PRAGMA page_size = 16384")
        db.execute("PRAGMA journal_size_limit = 16777216")
        # What is settled lies in pages that are free: to overwrite them too, as some builds do, would write all twice.
        db.execute("PRAGMA secure_delete = FAST").fetchall()
        db.execute("PRAGMA cache_size = -4096")
        _prepare(db, path)
        db.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}").fetchall()
    except sqlite3.DatabaseError as error:
        db.close()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise damage(path, error) from None
        if code == sqlite3.SQLITE_READONLY:
            raise _unreadable(path, error) from None
        if code == sqlite3.SQLITE_BUSY:
            raise UnusableSpoolError(f"spool {path} is in use by another program: {error}", damaged=False) from None
        raise
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Raise `UnusableSpoolError` where the database at `path` turns out to be damaged, rather than busy or full."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise damage(path, error) from error
        raise


def damage(path: Path, error: sqlite3.Error) -> UnusableSpoolError:
    """Return the error for a damaged database."""
    return UnusableSpoolError(f"spool {path} is damaged: {error}", damaged=True)


def _unreadable(path: Path, error: sqlite3.Error) -> UnusableSpoolError:
    return UnusableSpoolError(f"spool {path} is not this user's to use: {error}", damaged=False)


def _opened(path: Path) -> sqlite3.Connection:
    # The file is there: a database that was removed meanwhile must not come to life again.
    address = f"{path.absolute().as_uri()}?mode=rw"
    try:
        return sqlite3.connect(
            address, uri=True, timeout=_BUSY_OPENING_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.OperationalError as error:
        if not path.exists():
            raise FileNotFoundError(f"{path} was removed") from None
        raise _unreadable(path, error) from None


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = _format(db)
    if version == len(_FORMATS):
        return
    if not 0 <= version < len(_FORMATS):
        text = f"spool {path} has format {version}, which a newer siemlite wrote; use that one"
        raise UnusableSpoolError(text, damaged=False)
    if version == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    for script in _FORMATS[_format(db) :]:  # Another process may have been quicker.
        for statement in _statements(script):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(_FORMATS)}")
    db.execute("COMMIT")


def _format(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
