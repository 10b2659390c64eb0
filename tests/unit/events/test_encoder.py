"""From raw events to bytes."""

import re
from typing import Any

import orjson
import pytest

from pipeline.events.document import Shaper
from pipeline.events.encoded import INGESTED, Encoded, stamped
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.mark import DrillMarker, concerns, drill_name
from pipeline.events.redaction import Redactor

NOW = 1_795_485_600_000
DAY = 86_400_000


@pytest.fixture
def encoder() -> Encoder:
    return Encoder(Redactor(), Shaper(90 * DAY), DrillMarker(b"k" * 32))


def encode(encoder: Encoder, raw: dict[str, Any], **options: Any) -> Encoded:
    return encoder.encode([Draft(raw, "an-id", **options)], NOW, live=True)[0]


def document(encoded: Encoded) -> dict[str, Any]:
    assert encoded.body.startswith(INGESTED)
    body: dict[str, Any] = orjson.loads(encoded.body)
    return body


def test_an_event_goes_to_the_index_of_its_own_day(encoder: Encoder) -> None:
    assert encode(encoder, {"timestamp": "2026-11-23T23:59:59.999Z"}).target == "security-logs-2026.11.23"
    assert encode(encoder, {"timestamp": "2026-11-24T00:30:00+01:00"}).target == "security-logs-2026.11.23"


def test_secrets_are_gone_before_there_are_bytes(encoder: Encoder) -> None:
    encoded = encode(encoder, {"context": {"password": "hunter2", "body": [{"apiKey": "hunter2", "n": 1}]}})
    assert b"hunter2" not in encoded.lines()
    assert document(encoded)["siemlite"]["data"]["body"] == [{"apiKey": "[REDACTED]", "n": 1}]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('config {"api": {"key": "hunter2x"}}', 'config {"api": {"key": "[REDACTED]"}}'),
        ('{"session":{"id":"hunter2x"}}', '{"session":{"id":"[REDACTED]"}}'),
        ('x {"private":{"a":1,"key":"hunter2x"}}', 'x {"private":{"a":1,"key":"[REDACTED]"}}'),
        ("[{'name': 'X-Api-Key', 'value': 'hunter2x'}]", "[{'name': 'X-Api-Key', 'value': '[REDACTED]'}]"),
        ('h: [{"name": "Cookie", "value": "hunter2x"}]', 'h: [{"name": "Cookie", "value": "[REDACTED]"}]'),
        ("('X-Api-Key', 'hunter2x')", "('X-Api-Key', '[REDACTED]')"),
        ('{"password":"hunter2x","password":"[REDACTED]"}', '{"password":"[REDACTED]"}'),
        ('{"note":"Bearer hunterhunterZ9","note":"ok"}', '{"note":"ok"}'),
        ('{"note":"fine","other":{"note":"ok"}}', '{"note":"fine","other":{"note":"ok"}}'),
    ],
)
@pytest.mark.parametrize("short", [True, False])
def test_a_secret_in_a_text_is_found_by_what_stands_around_it(
    encoder: Encoder, text: str, kept: str, short: bool
) -> None:
    assert document(encode(encoder, {"message": text}, short=short))["message"] == kept


def test_a_secret_beside_its_name_in_an_exceptions_arguments_is_redacted(encoder: Encoder) -> None:
    encoded = encode(encoder, {"error": ValueError("password", "hunter2x")})
    assert document(encoded)["siemlite"]["data"]["error.args"] == ["password", "[REDACTED]"]


@pytest.mark.parametrize("short", [True, False])
def test_an_id_stays_what_it_is_even_where_it_looks_like_a_token(encoder: Encoder, short: bool) -> None:
    event_id = "AAAGAVxoxx-y8o7DJNdqBrhiAy6N"
    (encoded,) = encoder.encode([Draft({"message": f"of {event_id}"}, event_id, short=short)], NOW, live=True)
    assert document(encoded)["event"]["id"] == event_id
    assert document(encoded)["message"] == "of AAAGAV[REDACTED]"


def test_a_drills_mark_stays_what_it_is_even_where_it_looks_like_a_token(encoder: Encoder) -> None:
    encoded = encode(encoder, {"message": "password=hunter2"}, drill="drill-xoxb-1234567890ab")
    mark = document(encoded)["siemlite"]["drill"]
    assert encoder.marker is not None
    assert encoder.marker.verify(encoded.target, "an-id", "drill-xoxb-1234567890ab", NOW, mark["signature"])
    assert mark["id"] == "drill-xoxb-1234567890ab"
    assert "hunter2" not in document(encoded)["message"]


def test_a_body_is_one_line_whatever_is_in_it(encoder: Encoder) -> None:
    encoded = encode(encoder, {"message": "a\nb\r\u2028c\0", "x\n": ["\n"]})
    assert encoded.lines().count(b"\n") == 2


def test_the_time_of_sending_is_set_in_bodies_alone(encoder: Encoder) -> None:
    forged = INGESTED.decode()
    encoded = encode(encoder, {"message": f"\n{forged}", "x": {"event.ingested": "0000-00-00T00:00:00.000Z"}})
    chunk = stamped(encoded.lines() * 2, NOW)
    bodies = [orjson.loads(line) for line in chunk.splitlines()[1::2]]
    assert [body["event.ingested"] for body in bodies] == ["2026-11-24T02:00:00.000Z"] * 2
    assert bodies[0]["message"] == f"\n{forged}"
    assert bodies[0]["siemlite"]["data"]["x"] == {"event.ingested": "0000-00-00T00:00:00.000Z"}


def test_what_cannot_be_handled_is_a_skeleton_and_never_an_exception(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Redactor, _value: object) -> object:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(Redactor, "keys", fail)
    encoded = encode(encoder, {"event": "LOGIN_FAILURE", "password": "hunter2"})
    body = document(encoded)
    assert body["event"] == {"id": "an-id", "kind": "event", "code": "LOGIN_FAILURE"}
    assert body["@timestamp"] == "2026-11-24T02:00:00.000Z"
    assert body["siemlite"]["skeleton"] == "shape: RuntimeError"
    assert b"hunter2" not in encoded.body


def test_a_mapping_whose_every_use_fails_is_still_an_event(encoder: Encoder) -> None:
    class Hostile(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("hunter2")

        __iter__ = keys = values = get = __getitem__ = __len__ = items  # type: ignore[assignment]

    assert document(encode(encoder, Hostile()))["event"]["id"] == "an-id"


def test_a_drills_mark_verifies_for_its_own_event_alone(encoder: Encoder) -> None:
    encoded = encode(encoder, {"event": "LOGIN_FAILURE"}, drill="drill-1")
    mark = document(encoded)["siemlite"]["drill"]
    marker = DrillMarker(b"k" * 32)
    assert marker.verify(encoded.target, "an-id", "drill-1", NOW, mark["signature"])
    assert not marker.verify("security-logs-2026.11.25", "an-id", "drill-1", NOW, mark["signature"])
    assert not marker.verify(encoded.target, "other-id", "drill-1", NOW, mark["signature"])
    assert not marker.verify(encoded.target, "an-id", "drill-2", NOW, mark["signature"])
    assert not marker.verify(encoded.target, "an-id", "drill-1", NOW + 1, mark["signature"])
    assert not DrillMarker(b"x" * 32).verify(encoded.target, "an-id", "drill-1", NOW, mark["signature"])


def test_ids_need_no_escaping_in_an_action_line(encoder: Encoder) -> None:
    action = encode(encoder, {}).lines().partition(b"\n")[0]
    assert re.fullmatch(rb'\{"create":\{"_index":"security-logs-[\d.]+","_id":"[\w-]+"\}\}', action)


def test_a_drill_concerns_the_detection_that_it_names() -> None:
    name = drill_name("drill-", "0123", "brute_force")
    assert concerns(name, "brute_force")
    assert not concerns(name, "brute")
    assert concerns("drill-0123", "anything")
