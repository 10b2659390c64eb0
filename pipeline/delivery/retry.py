"""When a failed delivery is tried again, and when it is given up. Pure.

Exponential back-off with full jitter; a server's `Retry-After` is a lower bound. Invariant: every entry ends
as sent or, for a person to see and retry, as dead; nothing is retried for ever.
"""

from dataclasses import dataclass, replace

from pipeline.alerts.outbox import Delivery, DeliveryState, released

_ERROR_MAX = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message did not go out; `permanent` when it never will, `retry_after_s` where the server asked for time."""

    reason: str
    permanent: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays in seconds double from `base_s` up to `ceiling_s`.

    An entry is dead after `max_attempts`, or when it is older than `max_age_ms` and was tried at least
    `min_attempts` times (a daemon that was down for days still tries what it owes).
    """

    base_s: float = 1.0
    ceiling_s: float = 300.0
    floor_s: float = 0.2
    retry_after_max_s: float = 3600.0
    max_attempts: int = 5000
    min_attempts: int = 12
    max_age_ms: int = 7 * 86_400_000

    def delay_s(self, failures: int, share: float, retry_after_s: float | None = None) -> float:
        """Return the delay after `failures` failures in a row; `share` is a random number in [0, 1)."""
        widest = min(self.ceiling_s, self.base_s * 2.0 ** min(max(failures, 1) - 1, 30))
        asked = min(retry_after_s or 0.0, self.retry_after_max_s)
        if asked <= 0:
            return max(self.floor_s, share * widest)
        return asked + share * (widest if failures > self.min_attempts else min(widest, 5.0))

    def failed(self, delivery: Delivery, failure: Failure, now_ms: int, share: float) -> Delivery:
        """Return the entry after a failed attempt at `now_ms`."""
        attempts = delivery.attempts + 1
        tried = replace(released(delivery), attempts=attempts, last_error=failure.reason[:_ERROR_MAX])
        too_old = now_ms - delivery.created_ms > self.max_age_ms and attempts >= self.min_attempts
        if failure.permanent or attempts >= self.max_attempts or too_old:
            return replace(tried, state=DeliveryState.DEAD)
        delay_ms = round(1000 * self.delay_s(attempts, share, failure.retry_after_s))
        return replace(tried, next_attempt_ms=now_ms + delay_ms)

    def sent(self, delivery: Delivery, now_ms: int) -> Delivery:
        """Return the entry after it was sent at `now_ms`."""
        return replace(
            released(delivery),
            state=DeliveryState.SENT,
            attempts=delivery.attempts + 1,
            sent_ms=now_ms,
            last_error=None,
        )
