"""From a raw event to the bytes that are spooled and sent: redact, shape, encode once.

Invariants: nothing that has not been redacted leaves this module; an event that cannot be handled whole
leaves it as a skeleton, never as an exception and never not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from pipeline.events import values
from pipeline.events.document import Document, Shaper
from pipeline.events.encoded import INGESTED, Encoded, index_of
from pipeline.events.mark import DrillMarker
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import skeleton

_OPTIONS = orjson.OPT_NON_STR_KEYS


class Draft(NamedTuple):
    """A raw event and the id it has; `drill` is the id of the drill it belongs to."""

    event: Mapping[str, object]
    event_id: str
    drill: str | None = None


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes events; safe to share between threads. `marker` signs the events of drills."""

    redactor: Redactor
    shaper: Shaper
    marker: DrillMarker | None = None

    def encode(self, drafts: Sequence[Draft], received_ms: int, *, live: bool) -> list[Encoded]:
        """Return `drafts` encoded, in their order; `live` as in `Shaper.shape`."""
        documents = [self._document(draft, received_ms, live) for draft in drafts]
        bodies = [self._dump(document) for document in documents]
        for position in self.redactor.suspects(bodies):
            documents[position] = self._closer_look(documents[position])
            bodies[position] = self._dump(documents[position])
        return [
            Encoded(index_of(document.instant), draft.event_id, document.level, body)
            for draft, document, body in zip(drafts, documents, bodies, strict=True)
        ]

    def _document(self, draft: Draft, received_ms: int, live: bool) -> Document:
        try:
            plain = self.redactor.keys(draft.event)
            document = self.shaper.shape(plain, draft.event_id, received_ms, live=live)
        except Exception as error:  # noqa: BLE001 - whatever an application hands over, its event still counts
            return self._failed({}, draft.event_id, values.instant_of(received_ms), f"shape: {type(error).__name__}")
        if draft.drill is not None and self.marker is not None:
            index = index_of(document.instant)
            signature = self.marker.sign(index, draft.event_id, draft.drill, document.instant.ms)
            document.body.setdefault("siemlite", {})["drill"] = {"id": draft.drill, "signature": signature}
        return document

    def _closer_look(self, document: Document) -> Document:
        try:
            body = self.redactor.values(document.body)
        except Exception as error:  # noqa: BLE001 - fails closed: what cannot be redacted is left out
            safe = {"source": {"ip": document.body.get("source", {}).get("ip")}}
            event_id = document.body["event"]["id"]
            return self._failed(safe, event_id, document.instant, f"redact: {type(error).__name__}")
        return Document(body, document.instant, document.level)

    @staticmethod
    def _failed(body: Mapping[str, Any], event_id: str, instant: values.Instant, reason: str) -> Document:
        return Document(skeleton(body, event_id, instant.text, reason), instant, "warn")

    @staticmethod
    def _dump(document: Document) -> bytes:
        return INGESTED + orjson.dumps(document.body, option=_OPTIONS)[1:]
