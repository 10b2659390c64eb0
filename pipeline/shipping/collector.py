"""The collector: brings every spool of a home to the shipper, and removes those that are done.

Invariants: a spool is sent from by the process that holds its sender's lock; a spool whose writer is gone
is adopted, sent and removed; one that still has a writer, or positions, stays.
"""

import logging
import sqlite3
import threading
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import SiemliteError
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spools import AdoptedSpool, Spools

_log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class Collector:
    """Watches `spools` on behalf of `shipper`; `start` runs it in a thread of its own."""

    def __init__(self, spools: Spools, shipper: Shipper, clock: Clock) -> None:
        self._spools = spools
        self._shipper = shipper
        self._clock = clock
        self._adopted: dict[Path, AdoptedSpool] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Adopt what is new and remove what is done."""
        self._spools.sweep()
        for path in self._spools.paths():
            if path not in self._adopted:
                adopted = self._spools.adopt(path)
                if adopted is not None:
                    self._adopted[path] = adopted
                    self._shipper.add(adopted.spool)
        for path, adopted in list(self._adopted.items()):
            if (
                adopted.spool.depth().events == 0
                and self._spools.orphaned(path)
                and self._shipper.remove(adopted.spool)
            ):
                if self._spools.discard(adopted):
                    del self._adopted[path]
                else:
                    self._shipper.add(adopted.spool)

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
            except (SiemliteError, OSError, sqlite3.Error):
                _log.exception("a spool cannot be adopted now; trying again")
            self._clock.wait(self._stop, LOOK_SECONDS)
