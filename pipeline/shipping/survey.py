"""What the spools of a home hold, seen without disturbing who writes or sends."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import RetryableError
from pipeline.shipping.locks import FileLock
from pipeline.shipping.spool import Depth
from pipeline.shipping.spools import Spools


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """One spool: events and bytes that wait, since when, and whether a process writes into it or sends from it.

    `spooled` and `settled` are the events that ever were, for as long as the spool exists. Where `trouble` says why
    it cannot be looked into, nothing is counted.
    """

    name: str
    events: int
    bytes: int
    oldest_ms: int | None
    written: bool
    sent: bool
    spooled: int
    settled: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """Events a second that came into the spools and that left them."""

    spooled: float
    settled: float


def survey(spools: Spools) -> tuple[SpoolStatus, ...]:
    """Return the status of every spool."""
    found = []
    for path in spools.paths():
        depth, trouble = Depth(0, 0, None), ""
        try:
            with spools.opened(path) as spool:
                depth = spool.depth()
        except FileNotFoundError:
            continue
        except (RetryableError, sqlite3.Error) as error:
            trouble = str(error)
        found.append(
            SpoolStatus(
                path.stem,
                depth.events,
                depth.bytes,
                depth.oldest_ms,
                FileLock(path.with_suffix(".lock")).taken(),
                FileLock(path.with_suffix(".send")).taken(),
                depth.spooled,
                depth.settled,
                trouble,
            )
        )
    return tuple(found)


def changes(before: Sequence[SpoolStatus], after: Sequence[SpoolStatus]) -> tuple[int, int]:
    """Return the events that were spooled and settled between two surveys.

    A spool that vanished had settled what it held.
    """
    earlier = {spool.name: spool for spool in before}
    later = {spool.name: spool for spool in after}
    unknown = {spool.name for spool in (*before, *after) if spool.trouble}
    spooled = settled = 0
    for name in (earlier.keys() | later.keys()) - unknown:
        old, new = earlier.get(name), later.get(name)
        if new is None:
            settled += old.events if old is not None else 0
        else:
            spooled += new.spooled - (old.spooled if old is not None else 0)
            settled += new.settled - (old.settled if old is not None else 0)
    return spooled, settled
