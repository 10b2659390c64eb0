"""Telling a dead-man's switch that passes succeed, so that somebody is told when they stop.

Invariant: the heartbeat is sent by the leader, after passes that succeeded and by nothing else; a daemon that
runs and evaluates nothing falls silent. A heartbeat that fails is tried again with the next one.
"""

import logging

from pipeline.delivery.channels.base import SendError
from pipeline.delivery.channels.http import Poster
from pipeline.scheduler.health import Vitals

_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `SIEMLITE_HEARTBEAT_URL`."""

    def __init__(self, poster: Poster, vitals: Vitals, *, recent_s: float) -> None:
        """`recent_s` is how recently a pass must have succeeded."""
        self._poster = poster
        self._vitals = vitals
        self._recent_s = recent_s
        self._failing = False

    def beat(self) -> bool:
        """Send a heartbeat if passes succeed; return whether one was taken."""
        age = self._vitals.pass_age_s
        if not self._vitals.leads or age is None or age > self._recent_s:
            return False
        try:
            self._poster.get()
        except SendError as error:
            if not self._failing:
                _log.warning("the heartbeat does not arrive: %s", error)
            self._failing = True
            return False
        if self._failing:
            _log.warning("the heartbeat arrives again")
        self._failing = False
        return True
