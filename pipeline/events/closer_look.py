"""The closer look at an encoded event whose bytes may hold a secret within a value.

Invariants: what cannot be redacted leaves as a skeleton that still counts: with the code, the address where it is an
IP, and the drill's mark of the event; what siemlite itself has written into an event is no secret and stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pipeline.events import values
from pipeline.events.encoded import INGESTED, Encoded, body_of
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import plain_code, skeleton

_HEAD = INGESTED + b'"@timestamp":"'
_INSTANT_LENGTH = 24


def suspects(redactor: Redactor, events: Sequence[Encoded]) -> Sequence[int]:
    """Return the positions of the events that need a closer look; never raises."""
    try:
        return redactor.suspects([event.body for event in events])
    except Exception:  # noqa: BLE001 - fails closed: all of them are looked at
        return range(len(events))


def closer_look(redactor: Redactor, event: Encoded) -> Encoded:
    """Return `event` without secrets in values; never raises."""
    document: dict[str, Any] = {}
    try:
        document = orjson.loads(b"{" + event.body[len(INGESTED) :])
        redacted = redactor.values(document)
        # Random enough to look like a token once in millions.
        redacted["event"]["id"] = event.event_id
        return event._replace(body=body_of(_marked(redacted, document)))
    except Exception as error:  # noqa: BLE001 - fails closed: what cannot be redacted is left out
        instant = event.body[len(_HEAD) : len(_HEAD) + _INSTANT_LENGTH].decode()
        remains = skeleton(_safe(redactor, document), event.event_id, instant, f"redact: {type(error).__name__}")
        return event._replace(body=body_of(_marked(remains, document)))


def _marked(result: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `result` with the mark of a drill that `document` has; nobody but siemlite can write one there."""
    mark = document.get("siemlite", {}).get("drill")
    if mark is not None:
        result["siemlite"]["drill"] = mark
    return result


def _safe(redactor: Redactor, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `document` holds no secret whatever it says."""
    source = document.get("source", {})
    ip, given = source.get("ip"), source.get("address")
    place = {"ip": ip}
    if type(given) is str and values.address(given)[:2] == (ip, ip):
        place["address"] = given
    return {"event": {"code": _code(redactor, document)}, "source": place}


def _code(redactor: Redactor, document: Mapping[str, Any]) -> str | None:
    """Return the code, which detections count by; one that may be a sentence, only where it can be redacted."""
    code = document.get("event", {}).get("code")
    if type(code) is not str or plain_code(code) is not None:
        return code if type(code) is str else None
    try:
        redacted = redactor.values({"event": {"code": code}})["event"]["code"]
    except Exception:  # noqa: BLE001 - the event then counts without a code
        return None
    return redacted if type(redacted) is str else None
