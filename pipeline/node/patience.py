"""Waiting that can be called off.

Invariant: whatever in this room waits for something, waits through its clock; so a start whose `stop` is set
ends at its next wait, by an exception that its cleaning up sees.
"""

import fcntl
import threading

from pipeline.clock import Clock
from pipeline.errors import RetryableError

_LOOK_SECONDS = 0.1


class StartInterruptedError(RetryableError):
    """The start was called off by the event that its caller gave."""


class ImpatientClock:
    """Another clock, whose waits end with `StartInterruptedError` once `stop` is set."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        """`stop` may be set by any thread, or by a signal's handler."""
        self._clock = clock
        self._stop = stop

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return self._clock.now_ms()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._clock.monotonic()

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait for `stop`, and raise if it is set; `wake` counts at the end."""
        if self._clock.wait(self._stop, seconds):
            raise StartInterruptedError("the start of the embedded Elasticsearch was called off")
        return wake.is_set()


def pause(clock: Clock, seconds: float = _LOOK_SECONDS) -> None:
    """Wait before the next look."""
    clock.wait(threading.Event(), seconds)


def lock(descriptor: int, clock: Clock) -> None:
    """Take the lock on an open file, however long another process holds it."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause(clock)
        else:
            return
