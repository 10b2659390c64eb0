"""An event whose values cannot be redacted still counts, whichever way it came."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from pipeline.events.document import Shaper
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.mark import DrillMarker
from pipeline.events.redaction import Redactor
from pipeline.events.redaction.plain import Plain
from pipeline.logger.encoding import TwoSteps
from pipeline.settings import load_settings

NOW = 1_795_485_600_000
MESSAGE = "password=hunter22 was refused"

Values = Callable[[Plain], Plain]
Encode = Callable[[dict[str, Any], Values], dict[str, Any]]


def from_a_source(fields: dict[str, Any], redact: Values) -> dict[str, Any]:
    """Encode as an event that was read or received; its values are redacted by `redact`."""
    encoder = Encoder(Redactor(), Shaper(90 * 86_400_000))
    encoder.redactor.values = redact
    (encoded,) = encoder.encode([Draft({"message": MESSAGE, **fields}, "an-id")], NOW, live=True)
    return document(encoded.body)


def from_an_application(fields: dict[str, Any], redact: Values) -> dict[str, Any]:
    """Encode as an event of `SecurityLogger`; its values are redacted by `redact`."""
    steps = TwoSteps(load_settings(None))
    steps.redactor.values = redact
    raw = {"message": MESSAGE, "log.level": "warn", **fields}
    return document(steps.both(raw, "an-id", NOW).body)


def document(body: bytes) -> dict[str, Any]:
    assert b"hunter2" not in body
    found = orjson.loads(body)
    assert isinstance(found, dict)
    return found


@pytest.fixture(params=[from_a_source, from_an_application])
def encode(request: pytest.FixtureRequest) -> Encode:
    found: Encode = request.param
    return found


def fail(_tree: Plain) -> Plain:
    raise RuntimeError("hunter2")


def test_what_cannot_be_redacted_keeps_what_detections_count_by(encode: Encode) -> None:
    found = encode({"event.code": "LOGIN_FAILURE", "ip": "::ffff:192.0.2.7", "user.id": "alice"}, fail)
    assert found["event"] == {"id": "an-id", "kind": "event", "code": "LOGIN_FAILURE"}
    assert found["source"] == {"address": "192.0.2.7", "ip": "192.0.2.7"}
    assert found["@timestamp"] == "2026-11-24T02:00:00.000Z"
    assert found["siemlite"] == {"skeleton": "redact: RuntimeError"}
    assert "user" not in found


def test_what_cannot_be_redacted_keeps_no_text_as_its_code_or_address(encode: Encode) -> None:
    found = encode({"event.code": "hunter22 was refused", "ip": "hunter22.example"}, fail)
    assert found["event"] == {"id": "an-id", "kind": "event"}
    assert "source" not in found


def test_a_code_of_another_form_is_kept_where_it_can_be_redacted(encode: Encode) -> None:
    redact = Redactor().values

    def fail_at_messages(tree: Plain) -> Plain:
        return fail(tree) if isinstance(tree, dict) and "message" in tree else redact(tree)

    assert encode({"event.code": "order.refused"}, fail_at_messages)["event"]["code"] == "order.refused"
    assert encode({"event.code": "password=hunter22"}, fail_at_messages)["event"]["code"] == "password=[REDACTED]"


def test_where_nobody_knows_which_events_hold_secrets_all_are_looked_at() -> None:
    encoder = Encoder(Redactor(), Shaper(90 * 86_400_000))

    def no_answer(_bodies: Sequence[bytes]) -> list[int]:
        raise RuntimeError("hunter2")

    encoder.redactor.suspects = no_answer
    (encoded,) = encoder.encode([Draft({"event": "LOGOUT", "message": MESSAGE}, "an-id")], NOW, live=True)
    assert document(encoded.body)["message"] == "password=[REDACTED] was refused"


def test_what_cannot_be_redacted_stays_in_its_drill() -> None:
    marker = DrillMarker(b"k" * 32)
    encoder = Encoder(Redactor(), Shaper(90 * 86_400_000), marker)
    encoder.redactor.values = fail
    draft = Draft({"event": "LOGIN_FAILURE", "message": MESSAGE}, "an-id", "a-drill", {"played": "yes"})
    (encoded,) = encoder.encode([draft], NOW, live=True)
    signature = marker.sign(encoded.target, "an-id", "a-drill", NOW)
    assert document(encoded.body)["siemlite"]["drill"] == {"id": "a-drill", "signature": signature}
