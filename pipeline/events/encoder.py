"""From a raw event to the bytes that are spooled and sent: redact, shape, encode once.

Invariants: nothing that has not been redacted leaves this module; an event that cannot be handled whole
leaves it as a skeleton, never as an exception and never not at all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from pipeline.events import values
from pipeline.events.document import Shaper
from pipeline.events.encoded import INGESTED, Encoded, index_of
from pipeline.events.mark import DrillMarker
from pipeline.events.quick import QuickShaper
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import skeleton

_UNKNOWN_LEVEL = "warn"
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Draft(NamedTuple):
    """A raw event and the id it has.

    `short` events may take the short way (see `quick.is_short`).
    `drill` is the id of the drill it belongs to, and `own` what a drill's event has of siemlite's own fields.
    """

    event: Mapping[str, object]
    event_id: str
    drill: str | None = None
    own: Mapping[str, str] | None = None
    short: bool = False


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes events; safe to share between threads. `marker` signs the events of drills."""

    redactor: Redactor
    shaper: Shaper
    marker: DrillMarker | None = None
    _quick: QuickShaper = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quick", QuickShaper(self.redactor, self.shaper))

    def encode(self, drafts: Sequence[Draft], received_ms: int, *, live: bool) -> list[Encoded]:
        """Return `drafts` encoded, in their order; `live` as in `Shaper.shape`."""
        encoded = [self._encoded(draft, received_ms, live) for draft in drafts]
        for position in self.redactor.suspects([event.body for event in encoded]):
            encoded[position] = self._closer_look(encoded[position])
        return encoded

    def _encoded(self, draft: Draft, received_ms: int, live: bool) -> Encoded:
        try:
            document = self._quick.shape(draft.event, draft.event_id, received_ms, live=live) if draft.short else None
            if document is None:
                plain = self.redactor.keys(draft.event)
                document = self.shaper.shape(plain, draft.event_id, received_ms, live=live)
            body, instant, level = document
            index = index_of(instant)
            if draft.drill is not None and self.marker is not None:
                signature = self.marker.sign(index, draft.event_id, draft.drill, instant.ms)
                mark = {"id": draft.drill, "signature": signature}
                body["siemlite"] = {**body.get("siemlite", {}), **(draft.own or {}), "drill": mark}
            return Encoded(index, draft.event_id, level, _line(body))
        except Exception as error:  # noqa: BLE001 - whatever an application hands over, its event still counts
            instant = values.instant_of(received_ms)
            kept = {"event": {"code": _code_of(draft.event)}}
            remains = skeleton(kept, draft.event_id, instant.text, f"shape: {type(error).__name__}")
            return Encoded(index_of(instant), draft.event_id, _UNKNOWN_LEVEL, _line(remains))

    def _closer_look(self, event: Encoded) -> Encoded:
        body = orjson.loads(event.body)
        del body["event.ingested"]
        mark = body.get("siemlite", {}).get("drill")
        try:
            redacted = self.redactor.values(body)
            # What siemlite itself writes is random enough to look like a token once in millions, and is no secret.
            redacted["event"]["id"] = event.event_id
            if mark is not None:
                redacted["siemlite"]["drill"] = mark
            line = _line(redacted)
        except Exception as error:  # noqa: BLE001 - fails closed: what cannot be redacted is left out
            safe = {"source": {"ip": body.get("source", {}).get("ip")}}
            line = _line(skeleton(safe, event.event_id, body["@timestamp"], f"redact: {type(error).__name__}"))
        return event._replace(body=line)


def _code_of(raw: Mapping[str, object]) -> str | None:
    """Return the event's code, which detections count by, where it can be nothing else."""
    try:
        code = raw["event"]
    except Exception:  # noqa: BLE001 - a hostile mapping; the event then counts without a code
        return None
    return code if type(code) is str and _CODE.fullmatch(code) else None


def _line(body: Mapping[str, Any]) -> bytes:
    return INGESTED + orjson.dumps(body)[1:]
