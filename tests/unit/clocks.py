"""A clock that stands still until a test moves it."""

import threading


class ManualClock:
    """Implements `Clock`. Waiting does not wait: it moves the time on."""

    def __init__(self, now_ms: int = 1_750_000_000_000) -> None:
        self.now = now_ms
        self.elapsed = 100_000.0  # as on a machine that has run for a day: what is forgotten to be subtracted shows

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return self.now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.elapsed

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        """See `Clock.wait`."""
        self.advance(seconds)
        return wake.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)
        self.elapsed += seconds
