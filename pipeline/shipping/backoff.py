"""How long to wait before the next try: exponential back-off with full jitter.

Pure: the caller brings the random number. The scheme is the one that AWS Architecture describes as full
jitter: a uniformly random share of a delay that doubles up to a ceiling.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: `base` doubles with each failure up to `ceiling`; never below `floor`."""

    base: float = 0.25
    ceiling: float = 15.0
    floor: float = 0.05

    def delay(self, failures: int, share: float) -> float:
        """Return the delay after `failures` failures in a row; `share` is a random number in [0, 1)."""
        widest = min(self.ceiling, self.base * 2.0 ** min(failures - 1, 30))
        return max(self.floor, share * widest)
