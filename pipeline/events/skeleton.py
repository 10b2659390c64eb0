"""What remains of an event that cannot be redacted, shaped or indexed: enough that it still counts.

Invariant: a skeleton holds only time, code, level, addresses, user and service ids, each of a plain type,
so that no index with siemlite's template can refuse it and nothing unredacted can hide in it.
"""

import re
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

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_KEPT_WHOLE = "Elasticsearch refused this event; the dead letters have all of it."
_LEFT_OUT = "This event could not be handled whole; what it held beside this is kept nowhere."


def plain_code(value: object) -> str | None:
    """Return `value`, unredacted, where it can be nothing but an event's code, which detections count by."""
    return value if type(value) is str and _CODE.fullmatch(value) else None


def skeleton(
    document: Mapping[str, Any], event_id: str, instant: str, reason: str, *, whole_kept: bool = False
) -> dict[str, Any]:
    """Return the skeleton of `document`, whose time is the text `instant`; `reason` says why it is one.

    `whole_kept` says that the dead letters have all of the event, as where Elasticsearch refused it; what could not
    be redacted is nowhere.
    """
    body: dict[str, Any] = {
        "@timestamp": instant,
        "event": {"id": event_id, "kind": "event"},
        "message": _KEPT_WHOLE if whole_kept else _LEFT_OUT,
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
