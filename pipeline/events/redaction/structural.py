"""Values that are passed over: ids and instants at the fields that are there to hold them.

Invariant: a value is passed over only when both its field and its form say so, so that a secret that an
attacker or a mistake puts into such a field is found like any other.
"""

import re

STRUCTURAL: frozenset[str] = frozenset(
    {
        "@timestamp",
        "event.created",
        "event.hash",
        "event.id",
        "event.ingested",
        "http.request.id",
        "parent.id",
        "span.id",
        "trace.id",
        "transaction.id",
    }
)

_FORM = re.compile(
    r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{64}"
    r"|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def is_structural(name: str, value: str) -> bool:
    """Return whether `value` at the field `name` is the id or the instant that belongs there."""
    return name in STRUCTURAL and _FORM.fullmatch(value) is not None
