"""From a raw event to the bytes that are spooled and sent: redact, shape, encode once.

Invariants: nothing that has not been redacted leaves this module; an event that cannot be handled whole
leaves it as a skeleton, never as an exception and never not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.events import values
from pipeline.events.closer_look import closer_look, suspects
from pipeline.events.document import Shaper
from pipeline.events.encoded import Encoded, body_of, index_of
from pipeline.events.mark import DrillMarker
from pipeline.events.quick import QuickShaper
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import plain_code, skeleton

_UNKNOWN_LEVEL = "warn"


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
        for position in suspects(self.redactor, encoded):
            encoded[position] = closer_look(self.redactor, encoded[position])
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
            return Encoded(index, draft.event_id, level, body_of(body))
        except Exception as error:  # noqa: BLE001 - whatever an application hands over, its event still counts
            instant = values.instant_of(received_ms)
            kept = {"event": {"code": _code_of(draft.event)}}
            remains = skeleton(kept, draft.event_id, instant.text, f"shape: {type(error).__name__}")
            return Encoded(index_of(instant), draft.event_id, _UNKNOWN_LEVEL, body_of(remains))


def _code_of(raw: Mapping[str, object]) -> str | None:
    try:
        return plain_code(raw["event"])
    except Exception:  # noqa: BLE001 - a hostile mapping; the event then counts without a code
        return None
