"""What was told of a trouble that lasts, so that people read it once and not each time that it is met. Pure.

Invariants: a reason is worth telling unless its like was told since the trouble began; reasons are alike that differ in
their numbers only, such as sizes and times; no more than `MOST` are told, however much what fails differs each time.
"""

import re
from math import inf

MOST = 5
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def kind_of(reason: str) -> str:
    """Return what `reason` has in common with those that are like it."""
    return _NUMBER.sub("0", reason)


class Told:
    """The reasons told of one trouble. It is over once it was not met for `rest_s`, so that one which comes and goes
    is one. Not safe to use from several threads at once.

    The instants `now` are seconds of a monotonic clock; without `rest_s` there is no need of them.
    """

    def __init__(self, rest_s: float = 0.0) -> None:
        self._rest_s = rest_s
        self._kinds: set[str] = set()
        self._met_at = -inf

    def fresh(self, reason: str, now: float = 0.0) -> bool:
        """Note that the trouble was met; return whether `reason` is worth telling."""
        self._met_at = now
        kind = kind_of(reason)
        if kind in self._kinds or len(self._kinds) >= MOST:
            return False
        self._kinds.add(kind)
        return True

    def over(self, now: float = 0.0) -> bool:
        """Note that the trouble was not met; return whether it is over with that, and anything was told of it."""
        if not self._kinds or now - self._met_at < self._rest_s:
            return False
        self._kinds.clear()
        return True
