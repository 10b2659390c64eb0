"""What a run of the latency benchmark says: each attack's time, split into what it waited for. Pure.

Instants are milliseconds since the epoch on one machine's clock. The parts of an attack's time add up to the whole:

- ship: from the crossing event's own timestamp until a shipper sent it (`event.ingested`): queue, spool, collector;
- schedule: until the pass that found it began, which includes the time that Elasticsearch took to store the event;
- refresh: until what had arrived could be searched, which includes asking for the shards' positions;
- query: until the alert was decided on: the searches of all detections that were answered before it;
- delivery: storing the alert, claiming, and sending, until the receiver had the whole message.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PARTS = ("ship", "schedule", "refresh", "query", "delivery")
_SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Found:
    """An attack and what became of it."""

    detection: str
    crossing_ms: int
    ingested_ms: int
    decided_ms: int
    received_ms: int

    @property
    def total_ms(self) -> int:
        """Return the time from the crossing to the receipt."""
        return self.received_ms - self.crossing_ms


def parts(found: Found, passes: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Split the time of an attack; `passes` are pairs of a pass's beginning and the end of its refresh, in order.

    Raises `ValueError` where no pass can have found it.
    """
    position = bisect_right(passes, found.decided_ms, key=lambda one: one[1]) - 1
    if position < 0:
        raise ValueError("an alert is older than the first pass")
    began, refreshed = passes[position]
    sent = min(found.ingested_ms, found.decided_ms)
    began, refreshed = max(began, sent), max(refreshed, sent)
    return {
        "ship": sent - found.crossing_ms,
        "schedule": began - sent,
        "refresh": refreshed - began,
        "query": found.decided_ms - refreshed,
        "delivery": found.received_ms - found.decided_ms,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]


def summary(attacks: Sequence[Found], passes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return the percentiles of the whole and of each part, in seconds, and the mean share of each part."""
    ordered = sorted(passes)
    split = [parts(found, ordered) for found in attacks]
    whole = [found.total_ms for found in attacks]
    mean = sum(whole) / len(whole)
    return {
        "total": _spread(whole),
        "parts": {
            name: _spread([one[name] for one in split])
            | {"mean_share_percent": round(100 * sum(one[name] for one in split) / len(split) / mean, 1)}
            for name in PARTS
        },
        "by_detection": {
            name: _spread([found.total_ms for found in attacks if found.detection == name])
            for name in sorted({found.detection for found in attacks})
        },
    }


def _spread(values_ms: Sequence[int]) -> dict[str, float]:
    spread: Mapping[str, float] = {f"p{share}": percentile(values_ms, share) for share in _SHARES}
    return {name: value / 1_000 for name, value in {**spread, "max": max(values_ms)}.items()}
