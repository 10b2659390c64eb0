"""A clock that stands still until a test moves it."""

import threading


class StillClock:
    """See `pipeline.clock.Clock`; waiting moves it on by what was waited for."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms
        self._monotonic = 1000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        self.move(seconds)
        return wake.is_set()

    def move(self, seconds: float) -> None:
        self._monotonic += seconds
        self._now_ms += round(seconds * 1000)
