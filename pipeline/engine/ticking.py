"""How far the clock's conditions are evaluated: silence is not judged while events of an outage still arrive.

Invariant: what is put off is evaluated later, from where it was left; nothing is passed over.
"""

from dataclasses import dataclass

from pipeline.engine.checkpoint import Checkpoint

OUTAGE_MS = 300_000
"""A gap between two passes from which on shippers are taken to have events waiting."""

HOLD_MAX_MS = 900_000
"""How long after an outage silence is not judged at most; it is as long as the outage where that is shorter."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Conditions of the clock are evaluated after `after_ms` and up to `upto_ms`.

    Where they are put off the two are the same, and `hold_ms` is the instant until which they are.
    """

    after_ms: int
    upto_ms: int
    hold_ms: int | None = None


def tick(since: Checkpoint, now_ms: int, delay_ms: int = 0) -> Tick:
    """Return how far the clock goes in a pass at `now_ms` that follows the checkpoint `since`.

    `delay_ms` is the kind's now: where it was longer, what is silent for longer than the new one begins earlier.
    """
    if since.clock_ms is None or now_ms <= since.clock_ms:
        return Tick(now_ms, now_ms)
    after = since.clock_ms - max(0, since.delay_ms - delay_ms)
    if since.hold_ms is not None:
        # What lies further ahead than anything is put off was written by a clock that was wrong.
        held = now_ms < since.hold_ms <= now_ms + HOLD_MAX_MS
        return Tick(after, since.clock_ms if held else now_ms, since.hold_ms if held else None)
    gap = now_ms - since.clock_ms
    if gap > OUTAGE_MS:
        return Tick(after, since.clock_ms, now_ms + min(gap, HOLD_MAX_MS))
    return Tick(after, now_ms)
