"""The mark of a drill's events, believed only when signed with this installation's key.

Invariant: a signature binds the event's index, id and instant, so a mark copied onto another event, or
the same event written elsewhere, does not verify, and such an event counts like any other.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DRILL, SIGNATURE = "siemlite.drill.id", "siemlite.drill.signature"
MARK_FIELDS = ({"field": "@timestamp", "format": "epoch_millis"}, {"field": DRILL}, {"field": SIGNATURE})
"""What to ask Elasticsearch for, as `docvalue_fields`, to find out whether an event's mark is signed."""

_PURPOSE = b"siemlite drill mark 1"


def drill_name(prefix: str, token: str, detection_id: str) -> str:
    """Return the id of a drill of one detection; `token` is new for each drill."""
    return f"{prefix}{token}.{detection_id}"


def concerns(drill_id: str, detection_id: str) -> bool:
    """Return whether a drill's events are for this detection: the one its id names, or any if it names none."""
    named = drill_id.partition(".")[2]
    return not named or named == detection_id


def drill_of(hit: Mapping[str, Any]) -> str:
    """Return the drill that a hit's mark names, whoever signed it; nothing where it names none or several."""
    return _only(hit, DRILL)


def is_signed(hit: Mapping[str, Any], verify: Callable[[str, str, str, int, str], bool]) -> bool:
    """Return whether the mark of a hit with `MARK_FIELDS` is one, and `verify` (see `DrillMarker`) says it is ours."""
    drill, signature, instant = (_only(hit, name) for name in (DRILL, SIGNATURE, "@timestamp"))
    return bool(drill and signature and instant) and verify(hit["_index"], hit["_id"], drill, int(instant), signature)


def _only(hit: Mapping[str, Any], name: str) -> str:
    """Return the one value of a hit's field as text; nothing where it has none or several."""
    found = hit.get("fields", {}).get(name)
    return str(found[0]) if isinstance(found, list) and len(found) == 1 else ""


@dataclass(frozen=True, slots=True, repr=False)
class DrillMarker:
    """Signs and verifies drill marks with the installation's `key`."""

    key: bytes

    @property
    def fingerprint(self) -> str:
        """Return what tells this key from others and nothing else of it."""
        return hmac.new(self.key, _PURPOSE + b" fingerprint", hashlib.sha256).hexdigest()[:16]

    def sign(self, index: str, event_id: str, drill_id: str, time_ms: int) -> str:
        """Return the signature for the event `event_id` at `time_ms` in `index` as part of `drill_id`."""
        text = "\n".join((index, event_id, drill_id, str(time_ms))).encode("utf-8", "surrogatepass")
        digest = hmac.new(self.key, _PURPOSE + b"\n" + text, hashlib.sha256).digest()
        return urlsafe_b64encode(digest[:18]).decode("ascii")

    def verify(self, index: str, event_id: str, drill_id: str, time_ms: int, signature: str) -> bool:
        """Return whether `signature` is this installation's for exactly that event."""
        expected = self.sign(index, event_id, drill_id, time_ms)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))
