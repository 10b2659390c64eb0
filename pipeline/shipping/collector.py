"""The collector: brings every spool of a home to the shipper, and removes those that are done.

Invariants: a spool is sent from by the process that holds its sender's lock; a spool whose writer is gone
is adopted, sent and removed; one that still has a writer, or positions, stays; one that is damaged, or not ours to
use, is named once and keeps no other from being sent; no more are open than `AT_ONCE`, however many there are: they
take turns.
"""

import logging
import resource
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.clock import Clock
from pipeline.shipping.database import FAILURES, UnusableSpoolError
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spools import AdoptedSpool, Spools

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
TURN_SECONDS = 10.0
"""How long a spool is sent from at least before it makes room for one that waits, unless it is empty."""


def _room() -> int:
    """Return how many spools, of four files each, may be open without want of descriptors for all else."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if limit == resource.RLIM_INFINITY else min(_MOST, max(4, limit // 12))


_MOST = 256
AT_ONCE = _room()


class Collector:
    """Watches `spools` on behalf of `shipper`; `start` runs it in a thread of its own. `tell` is told of trouble."""

    def __init__(self, spools: Spools, shipper: Shipper, clock: Clock, tell: Callable[[str], None]) -> None:
        self._spools = spools
        self._shipper = shipper
        self._clock = clock
        self._tell = tell
        self._adopted: dict[Path, AdoptedSpool] = {}
        self._since: dict[Path, float] = {}
        self._last = Path()
        self._said: dict[Path, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Adopt what is new and remove what is done."""
        self._spools.sweep()
        paths = self._spools.paths()
        for path in list(self._adopted):
            self._try(self._end, path)
        waiting = sum(path not in self._adopted for path in paths)
        self._make_room(waiting + len(self._adopted) - AT_ONCE)
        for path in sorted(paths, key=lambda path: (path <= self._last, path)):
            if len(self._adopted) >= AT_ONCE:
                break
            if path not in self._adopted:
                self._last = path
                self._try(self._begin, path)
        for path in self._said.keys() - set(paths):
            del self._said[path]

    def _try(self, step: Callable[[Path], None], path: Path) -> None:
        try:
            step(path)
        except FAILURES as error:
            self._complain(path, error)
        else:
            self._said.pop(path, None)

    def _make_room(self, surplus: int) -> None:
        """Give up as many spools as are too many: those that hold nothing now, and those that had their turn."""
        now = self._clock.monotonic()
        for path, adopted in list(self._adopted.items()):
            if surplus <= 0:
                return
            try:
                if now - self._since[path] >= TURN_SECONDS or not adopted.spool.depth().events:
                    surplus -= self._gives_up(path)
            except FAILURES as error:
                self._complain(path, error)

    def _begin(self, path: Path) -> None:
        adopted = self._spools.adopt(path)
        if adopted is not None:
            self._adopted[path] = adopted
            self._since[path] = self._clock.monotonic()
            self._shipper.add(adopted.spool)

    def _end(self, path: Path) -> None:
        adopted = self._adopted[path]
        if adopted.spool.depth().events or not self._spools.orphaned(path) or not self._shipper.remove(adopted.spool):
            return
        if self._spools.discard(adopted):
            self._forget(path)
        else:
            self._shipper.add(adopted.spool)

    def _gives_up(self, path: Path) -> bool:
        """Stop sending from a spool; return whether that was possible."""
        adopted = self._adopted.get(path)
        if adopted is None:
            return True
        if not self._shipper.remove(adopted.spool):
            return False
        self._forget(path)
        adopted.close()
        return True

    def _forget(self, path: Path) -> None:
        del self._adopted[path], self._since[path]

    def _complain(self, path: Path, error: Exception) -> None:
        """Say, once, that a spool cannot be sent from; set it aside where nothing can come of it."""
        text = f"{error}; the other spools are sent"
        if isinstance(error, UnusableSpoolError) and error.damaged and self._gives_up(path):
            aside = self._spools.set_aside(path)
            if aside is not None:
                text = f"{error}; it is now {aside}, and what it holds is not sent: `sqlite3 {aside} .recover` may help"
        if self._said.get(path) != text:
            self._said[path] = text
            self._tell(text)

    def start(self) -> None:
        """Look again and again until `stop`."""
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the spools back; the shipper must have been stopped before."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for adopted in self._adopted.values():
            adopted.close()
        self._adopted.clear()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except FAILURES:
                _log.exception("the spools cannot be looked at now; trying again")
            self._clock.wait(self._stop, LOOK_SECONDS)
