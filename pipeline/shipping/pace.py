"""How many requests go out at once, when the next may, and the account of those that were answered.

Invariants: after a failure one request is under way at a time, after a pause with full jitter; each success allows a
quarter of a request more, up to the limit. Not safe to use from several threads at once.
"""

import random
from dataclasses import dataclass, replace

from pipeline.shipping.backoff import Backoff
from pipeline.told import Told

_MORE = 0.25


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a shipper did since it started; `held_up` is why it waits now, or empty."""

    stored: int = 0
    refused: int = 0
    requests: int = 0
    retries: int = 0
    held_up: str = ""


class Pace:
    """Up to `limit` requests at once; `active` are under way."""

    def __init__(self, limit: int, backoff: Backoff, rng: random.Random) -> None:
        self._limit = float(limit)
        self._backoff = backoff
        self._rng = rng
        self._allowed = float(limit)
        self._failures = 0
        self._told = Told()
        self._resume_at = 0.0
        self.active = 0
        self.shipped = Shipped()

    def may_start(self, now: float) -> bool:
        """Return whether one more request may go out; `now` in seconds of a monotonic clock."""
        return now >= self._resume_at and self.active < int(self._allowed)

    def delay(self, failures: int) -> float:
        """Return how many seconds to wait after `failures` failures in a row."""
        return self._backoff.delay(failures, self._rng.random())

    def succeeded(self, *, stored: int, refused: int) -> bool:
        """Note a request whose events are all stored or refused; return whether requests were held up before it."""
        was_held_up = bool(self.shipped.held_up)
        self._failures = 0
        self._told.over()
        self._resume_at = 0.0
        self._allowed = min(self._limit, self._allowed + _MORE)
        self._note(stored, refused, retries=0, held_up="")
        return was_held_up

    def held_up(self, reason: str, now: float, *, stored: int, refused: int, whole: bool) -> bool:
        """Note a request that must be repeated, `whole` or in part; return whether the reason is worth telling.

        It is unless its like was given since the last success. A `whole` one says nothing of its events and holds up
        all others.
        """
        self._failures += 1
        self._allowed = 1.0
        if whole:
            self._resume_at = now + self.delay(self._failures)
        self._note(stored, refused, retries=1, held_up=reason)
        return self._told.fresh(reason)

    def _note(self, stored: int, refused: int, *, retries: int, held_up: str) -> None:
        so_far = self.shipped
        self.shipped = replace(
            so_far,
            stored=so_far.stored + stored,
            refused=so_far.refused + refused,
            requests=so_far.requests + 1,
            retries=so_far.retries + retries,
            held_up=held_up,
        )
