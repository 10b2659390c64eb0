"""What the spools of a home hold, seen without disturbing who writes or sends."""

from dataclasses import dataclass

from pipeline.shipping.locks import FileLock
from pipeline.shipping.spools import Spools


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """One spool: events and bytes that wait, since when, and whether a process writes into it or sends from it."""

    name: str
    events: int
    bytes: int
    oldest_ms: int | None
    written: bool
    sent: bool


def survey(spools: Spools) -> tuple[SpoolStatus, ...]:
    """Return the status of every spool."""
    found = []
    for path in spools.paths():
        with spools.opened(path) as spool:
            depth = spool.depth()
        found.append(
            SpoolStatus(
                path.stem,
                depth.events,
                depth.bytes,
                depth.oldest_ms,
                _held(FileLock(path.with_suffix(".lock"))),
                _held(FileLock(path.with_suffix(".send"))),
            )
        )
    return tuple(found)


def _held(lock: FileLock) -> bool:
    if not lock.path.exists():
        return False
    free = lock.acquire()
    lock.release()
    return not free
