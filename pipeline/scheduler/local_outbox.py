"""What the daemon owes people about itself, kept on its own disk because Elasticsearch may be what is away.

One SQLite database in the home, 0600. Invariants: a trouble is raised once and cleared once, and both are
written together with the messages they owe; a message is claimed before it is sent and recorded after, so it
goes out at least once, whatever process of this home sends it; what another version of siemlite stored is read as far
as this one knows its parts, and a row that cannot be read is set aside, because the others are to be told.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

from pipeline.alerts.outbox import LONGEST_CLAIM_MS, LONGEST_WAIT_MS, Action, Delivery, DeliveryState
from pipeline.delivery.kibana import Link
from pipeline.delivery.notice import Notice
from pipeline.detection.timeline import Severity
from pipeline.errors import ConfigurationError, RetryableError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS troubles (name TEXT PRIMARY KEY, alert TEXT NOT NULL, notice TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, channel TEXT NOT NULL, notice TEXT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, created_ms INTEGER NOT NULL, next_attempt_ms INTEGER NOT NULL,
    claimed_until_ms INTEGER NOT NULL, last_error TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS records (alert TEXT PRIMARY KEY, notice TEXT NOT NULL, written INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS due ON messages (state, next_attempt_ms);
"""
_KEPT_MS = 7 * 86_400_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owed:
    """A message to a channel, and how far it is."""

    id: int
    notice: Notice
    delivery: Delivery


class LocalOutbox:
    """The database. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open or make the database at `path`. Raises `ConfigurationError` where that cannot be done."""
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationError(
                f"{path} cannot be used: {error}; make SIEMLITE_HOME writable, or move the file away if it is broken"
            ) from None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def troubles(self) -> dict[str, Notice]:
        """Return what was raised and is not cleared: the notice that raised it, by the trouble's name."""
        with self._transaction() as database:
            rows = database.execute("SELECT name, notice FROM troubles").fetchall()
            found = {name: _readable("trouble", name, text) for name, text in rows}
            spoilt = [(name,) for name, notice in found.items() if notice is None]
            database.executemany("DELETE FROM troubles WHERE name = ?", spoilt)
        return {name: notice for name, notice in found.items() if notice is not None}

    def raise_(self, name: str, notice: Notice, channels: Sequence[str], now_ms: int) -> bool:
        """Note a trouble and owe `notice` to `channels`; return whether it was not raised already."""
        with self._transaction() as database:
            made = database.execute(
                "INSERT OR IGNORE INTO troubles VALUES (?, ?, ?)", (name, notice.alert_id, _text(notice))
            )
            if not made.rowcount:
                return False
            self._owe(database, notice, channels, now_ms)
            self._to_record(database, notice)
        return True

    def clear(self, name: str, notice: Notice, channels: Sequence[str], now_ms: int) -> bool:
        """Note that a trouble is over and owe `notice` to `channels`; return whether it was raised before."""
        with self._transaction() as database:
            gone = database.execute("DELETE FROM troubles WHERE name = ?", (name,))
            if not gone.rowcount:
                return False
            self._owe(database, notice, channels, now_ms)
            self._to_record(database, notice)
            database.execute("DELETE FROM records WHERE written = 1 AND alert != ?", (notice.alert_id,))
            database.execute(
                "DELETE FROM messages WHERE state != ? AND created_ms < ?",
                (DeliveryState.PENDING.value, now_ms - _KEPT_MS),
            )
        return True

    def claim(self, channel: str, now_ms: int, until_ms: int) -> Owed | None:
        """Return the message that `channel` is owed next, claimed until `until_ms`, if it may be tried now."""
        with self._transaction() as database:
            while (row := self._next(database, channel, now_ms)) is not None:
                owed = _owed(row)
                if owed is not None:
                    database.execute("UPDATE messages SET claimed_until_ms = ? WHERE id = ?", (until_ms, owed.id))
                    return owed
                database.execute(
                    "UPDATE messages SET state = ?, last_error = 'it cannot be read' WHERE id = ?",
                    (DeliveryState.DEAD.value, row[0]),
                )
        return None

    @staticmethod
    def _next(database: sqlite3.Connection, channel: str, now_ms: int) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = database.execute(
            "SELECT id, channel, notice, action, attempts, created_ms, next_attempt_ms, claimed_until_ms, "
            "last_error FROM messages WHERE id = (SELECT min(id) FROM messages WHERE state = ? AND channel = ?) "
            "AND (attempts = 0 OR NOT next_attempt_ms BETWEEN ? AND ?) AND NOT claimed_until_ms BETWEEN ? AND ?",
            (
                DeliveryState.PENDING.value,
                channel,
                now_ms + 1,
                now_ms + LONGEST_WAIT_MS,
                now_ms + 1,
                now_ms + LONGEST_CLAIM_MS,
            ),
        ).fetchone()
        return row

    def owing(self) -> frozenset[str]:
        """Return the names of the channels that are owed a message."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT DISTINCT channel FROM messages WHERE state = ?", (DeliveryState.PENDING.value,)
            ).fetchall()
        return frozenset(name for (name,) in rows)

    def record(self, owed: Owed, after: Delivery) -> None:
        """Note what became of a message that was claimed."""
        with self._transaction() as database:
            database.execute(
                "UPDATE messages SET state = ?, attempts = ?, next_attempt_ms = ?, claimed_until_ms = 0, "
                "last_error = ? WHERE id = ?",
                (after.state.value, after.attempts, after.next_attempt_ms, after.last_error, owed.id),
            )

    def unrecorded(self) -> list[Notice]:
        """Return the latest notice of each trouble that Elasticsearch does not hold yet."""
        with self._transaction() as database:
            rows = database.execute("SELECT alert, notice FROM records WHERE written = 0").fetchall()
            found = {alert: _readable("record", alert, text) for alert, text in rows}
            spoilt = [(alert,) for alert, notice in found.items() if notice is None]
            database.executemany("UPDATE records SET written = 1 WHERE alert = ?", spoilt)
        return [notice for notice in found.values() if notice is not None]

    def recorded(self, notice: Notice) -> None:
        """Note that Elasticsearch holds `notice`."""
        with self._transaction() as database:
            row = database.execute("SELECT notice FROM records WHERE alert = ?", (notice.alert_id,)).fetchone()
            if row is not None and _notice(row[0]) == notice:
                database.execute("UPDATE records SET written = 1 WHERE alert = ?", (notice.alert_id,))

    def _owe(self, database: sqlite3.Connection, notice: Notice, channels: Sequence[str], now_ms: int) -> None:
        database.executemany(
            "INSERT INTO messages (channel, notice, action, state, attempts, created_ms, next_attempt_ms, "
            "claimed_until_ms) VALUES (?, ?, ?, ?, 0, ?, ?, 0)",
            [
                (channel, _text(notice), notice.action.value, DeliveryState.PENDING.value, now_ms, now_ms)
                for channel in channels
            ],
        )

    def _to_record(self, database: sqlite3.Connection, notice: Notice) -> None:
        database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, 0)", (notice.alert_id, _text(notice)))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                    self._database.execute("COMMIT")
                except BaseException:
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise RetryableError(f"the outbox in SIEMLITE_HOME cannot be used: {error}") from error


def _owed(row: tuple[Any, ...]) -> Owed | None:
    number, channel, notice, action, attempts, created, next_attempt, claimed_until, error = row
    found = _readable("message", number, notice)
    if found is None:
        return None
    delivery = Delivery(channel, Action(action), created, next_attempt, attempts=attempts, last_error=error)
    return Owed(number, replace(found, repeated=attempts > 0 or claimed_until > 0), delivery)


def _text(notice: Notice) -> str:
    return orjson.dumps(asdict(notice)).decode()


def _readable(what: str, name: object, text: str) -> Notice | None:
    try:
        return _notice(text)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        _log.error("the %s %s of the outbox in SIEMLITE_HOME cannot be read, and is set aside: %r", what, name, error)
        return None


def _notice(text: str) -> Notice:
    """Return the notice that `_text` wrote, in this version or another. Raises where it is none."""
    stored = _known(Notice, orjson.loads(text))
    stored["action"] = Action(stored["action"])
    stored["severity"] = Severity(stored["severity"])
    stored["group"] = tuple((name, value) for name, value in stored["group"])
    stored["links"] = tuple(Link(**_known(Link, link)) for link in stored.get("links", ()))
    for name in ("attack", "tags", "examples"):
        stored[name] = tuple(stored.get(name, ()))
    if "span" in stored:
        first, last = stored["span"]
        stored["span"] = (first, last)
    return Notice(**stored)


def _known(kind: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return of `stored` what `kind` has a field for."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
