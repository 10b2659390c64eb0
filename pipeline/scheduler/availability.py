"""Saying once that Elasticsearch is away, and once that it is back.

Invariant: however many jobs fail for however long, a person reads one line when it begins and one when
it ends; and one more where the cause turns out to be a setting, which waiting does not mend.
"""

import logging
import threading

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError

_log = logging.getLogger(__name__)


class Availability:
    """Which jobs cannot reach Elasticsearch at present. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failing: set[str] = set()
        self._since: float | None = None
        self._reason = ""

    @property
    def away_for_s(self) -> float | None:
        """Return for how many seconds Elasticsearch has been away, or `None`."""
        since = self._since
        return None if since is None else self._clock.monotonic() - since

    @property
    def reason(self) -> str:
        """Return why the first job failed."""
        return self._reason

    def lost(self, job: str, error: Exception) -> None:
        """Note that `job` could not do its work because of `error`."""
        with self._lock:
            first = not self._failing
            self._failing.add(job)
            if first:
                self._since = self._clock.monotonic()
            if first or (isinstance(error, ConfigurationError) and str(error) != self._reason):
                self._reason = str(error)
                _log.warning("waiting for Elasticsearch: %s", error)

    def found(self, job: str, *, alone: bool = False) -> None:
        """Note that `job` did its work, and, where it is `alone` in having any, that no other fails any more."""
        with self._lock:
            if alone:
                self._failing.intersection_update({job})
            elif job not in self._failing:
                return
            self._failing.discard(job)
            if not self._failing and self._since is not None:
                _log.warning("Elasticsearch is back after %.0f s", self._clock.monotonic() - self._since)
                self._since = None
