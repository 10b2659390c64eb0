"""The events that siemlite makes of itself, as raw events that are redacted and shaped like any other.

Invariant: whichever part makes one, it has the same fields; `siemlite.number.shed` of a `LOG_GAP` counts every event
that is lost, and `shed_info`, `shed_warn` and `shed_error` those whose level was known.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.events.catalogue import EventType
from pipeline.events.values import instant_text

LOG_GAP = EventType("LOG_GAP", "error", type=("error",))
"""Events were shed and are lost."""

LEAK_FOUND = EventType("LEAK_FOUND", "error", type=("error",))
"""Something that reads like a secret was sent; `siemlite.data.leak` says of what kind, and where."""


def own_event(kind: EventType, service: str, message: str, reason: str) -> dict[str, Any]:
    """Return an event of `kind` about what `service` logged."""
    return {
        "event.code": kind.code,
        "event.action": kind.action,
        "event.type": list(kind.type),
        "log.level": kind.level,
        "service.name": service,
        "message": message,
        "event.reason": reason,
    }


def gap_event(
    service: str,
    shed: int,
    first_ms: int,
    last_ms: int,
    *,
    message: str,
    reason: str,
    by_level: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the `LOG_GAP` that states that `shed` events of between two instants are lost.

    `by_level` says how many of each level, where that is known.
    """
    return {
        **own_event(LOG_GAP, service, message, reason),
        "event.start": instant_text(first_ms),
        "event.end": instant_text(last_ms),
        "numbers": {"shed": shed, **{f"shed_{level}": count for level, count in (by_level or {}).items()}},
    }
