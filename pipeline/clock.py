"""The one way to read time.

Invariant: nothing below `pipeline.app` reads the wall clock; a `Clock` is passed in. Instants are integer
milliseconds since 1970-01-01T00:00:00Z; durations that only this process compares are monotonic seconds.
"""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What a component may know of time."""

    def now_ms(self) -> int:
        """Return the present instant in milliseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        ...

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """Wait until `wake` is set or `seconds` have passed; return whether it is set."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """See `Clock.wait`."""
        return wake.wait(max(0.0, seconds))
