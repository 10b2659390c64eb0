"""What the log says of passes: that detections are not evaluated, and that they are again.

Invariants: however many passes a detection fails in, and with however different words, there are a few lines when that
begins and one when it ends; one that fails in some passes and not in others has failed until it does no more; what
befalls many at once, such as the minute in which a day's index is made, is one line.
"""

import logging
from collections import defaultdict

from pipeline.clock import Clock
from pipeline.scheduler.passes import PassOutcome
from pipeline.told import Told, kind_of

AGAIN_S = 30.0
"""How long a detection must be evaluated before it is said to be so again."""

TOGETHER = 5
"""More failing detections than this are one line, and one trouble."""

PASSED_OVER_S = 3_600.0
"""How long it is a trouble that a detection passed over groups: there is nothing to see of it in the next pass."""

_log = logging.getLogger(__name__)


class Report:
    """Says what changed from pass to pass."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = defaultdict[str, Told](lambda: Told(AGAIN_S))
        self._passed_over = defaultdict[str, Told](lambda: Told(PASSED_OVER_S))

    def passed(self, outcome: PassOutcome) -> None:
        """Say what is new of a pass."""
        now = self._clock.monotonic()
        failed: dict[str, list[tuple[str, str]]] = {}
        again = []
        for detection in outcome.detections:
            name = detection.detection_id
            if detection.error is not None:
                if self._failures[name].fresh(detection.error, now):
                    failed.setdefault(kind_of(detection.error), []).append((name, detection.error))
            elif name in self._failures and self._failures[name].over(now):
                del self._failures[name]
                again.append(name)
            if detection.passed_over is not None:
                if self._passed_over[name].fresh(detection.passed_over, now):
                    _log.error("%s passes over what it cannot judge: %s", name, detection.passed_over)
            elif name in self._passed_over and self._passed_over[name].over(now):
                del self._passed_over[name]
        for alike in failed.values():
            if len(alike) > TOGETHER:
                _log.error("%d detections are not evaluated: %s", len(alike), alike[0][1])
                continue
            for name, why in alike:
                _log.error("%s is not evaluated: %s", name, why)
        if len(again) > TOGETHER:
            _log.warning("%d detections are evaluated again", len(again))
            return
        for name in again:
            _log.warning("%s is evaluated again", name)
