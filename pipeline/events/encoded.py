"""An encoded event: the bytes that are spooled, and sent as they are but for the time of sending.

Invariant: a body is one line that begins with `INGESTED`, so that `event.ingested` can be set in a whole
chunk without decoding it; the shape of a document lets nobody else write that field.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from pipeline.events import values

INDEX_PREFIX = "security-logs-"
_UNSENT = b"0000-00-00T00:00:00.000Z"
INGESTED = b'{"event.ingested":"' + _UNSENT + b'",'
"""How every body begins until it is sent."""


class Encoded(NamedTuple):
    """An event ready for `_bulk`: its target index, its id, its level for shedding, its body of one line."""

    target: str
    event_id: str
    level: str
    body: bytes

    def lines(self) -> bytes:
        """Return the action and the body as two lines."""
        return f'{{"create":{{"_index":"{self.target}","_id":"{self.event_id}"}}}}\n'.encode() + self.body + b"\n"


def body_of(document: Mapping[str, Any]) -> bytes:
    """Return the body of `document`, a shaped one or a skeleton."""
    return INGESTED + orjson.dumps(document)[1:]


def index_of(instant: values.Instant) -> str:
    """Return the daily index of an event at `instant`, by UTC."""
    day = instant.text[:10]
    known = _indices.get(day)
    if known is None:
        if len(_indices) >= _INDICES_MAX:
            _indices.clear()
        known = _indices[day] = INDEX_PREFIX + day.replace("-", ".")
    return known


_indices: dict[str, str] = {}
_INDICES_MAX = 1_000


def stamped(chunk: bytes, sent_ms: int) -> bytes:
    """Return `chunk` (lines of `Encoded.lines`) with `event.ingested` set to `sent_ms`."""
    before = b"\n" + INGESTED
    return chunk.replace(before, before.replace(_UNSENT, values.instant_text(sent_ms).encode("ascii")))
