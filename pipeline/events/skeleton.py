"""What remains of an event that cannot be redacted, shaped or indexed: enough that it still counts.

Invariant: a skeleton holds only time, code, level, addresses, user and service ids, each of a plain type,
so that no index with siemlite's template can refuse it and nothing unredacted can hide in it.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.events import values

_KEPT = (
    ("event", "code"),
    ("event", "action"),
    ("event", "outcome"),
    ("log", "level"),
    ("service", "name"),
    ("source", "address"),
    ("source", "ip"),
    ("user", "id"),
    ("user", "email"),
)


def skeleton(document: Mapping[str, Any], event_id: str, instant: str, reason: str) -> dict[str, Any]:
    """Return the skeleton of `document`, whose time is the text `instant`; `reason` says why it is one."""
    body: dict[str, Any] = {
        "@timestamp": instant,
        "event": {"id": event_id, "kind": "event"},
        "message": "This event could not be kept whole; its remainder is in the dead letters.",
        "siemlite": {"skeleton": values.shortened(reason, 512)},
        "tags": ["skeleton"],
    }
    for root, leaf in _KEPT:
        branch = document.get(root)
        value = branch.get(leaf) if isinstance(branch, Mapping) else None
        if type(value) is not str or not value:
            continue
        if leaf == "ip":
            value = values.address(value)[1]
            if value is None:
                continue
        body.setdefault(root, {})[leaf] = values.shortened(value)
    return body
