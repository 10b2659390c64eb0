"""The shape of an event document."""

from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.events.catalogue import CATALOGUE, EventType
from pipeline.events.document import FUTURE_MS, NUMBERS_MAX, VALUES_MAX, Shaper
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.metadata import clean_key, clean_tree
from pipeline.events.pseudonyms import Pseudonyms
from pipeline.events.redaction import Redactor
from pipeline.events.values import instant_text

NOW = 1_795_485_600_000
DAY = 86_400_000


def shape(raw: dict[str, Any], *, live: bool = True, **options: Any) -> dict[str, Any]:
    return Shaper(90 * DAY, **options).shape(raw, "the-id", NOW, live=live).body


def hidden(*names: str) -> Pseudonyms:
    return Pseudonyms.of(names, lambda field, value: f"p-{field}:{len(value)}")


def test_the_common_format_becomes_ecs() -> None:
    body = shape(
        {
            "timestamp": "2026-11-24T03:00:00.250+01:00",
            "level": "WARNING",
            "message": "Login failed",
            "event": "LOGIN_FAILURE",
            "service": "auth-api",
            "traceId": "t-1",
            "context": {
                "userId": 42,
                "email": "a@example.org",
                "ip": "::ffff:192.0.2.7",
                "userAgent": "curl/8",
                "geoLocation": "Berlin",
                "reason": "invalid_password",
                "attempt": 3,
            },
        }
    )
    assert body == {
        "@timestamp": "2026-11-24T02:00:00.250Z",
        "event": {
            "id": "the-id",
            "code": "LOGIN_FAILURE",
            "action": "login-failure",
            "category": ("authentication",),
            "type": ("start",),
            "outcome": "failure",
            "reason": "invalid_password",
            "kind": "event",
        },
        "log": {"level": "warn"},
        "message": "Login failed",
        "service": {"name": "auth-api"},
        "trace": {"id": "t-1"},
        "user": {"id": "42", "email": "a@example.org"},
        "source": {"address": "192.0.2.7", "ip": "192.0.2.7", "geo": {"name": "Berlin"}},
        "user_agent": {"original": "curl/8"},
        "siemlite": {"data": {"attempt": 3}},
    }


def test_the_flat_form_equals_the_form_with_context() -> None:
    inner = {"userId": "u", "ip": "192.0.2.1", "reason": "r", "other": "x"}
    assert shape({"event": "LOGOUT", **inner}) == shape({"event": "LOGOUT", "context": inner})


def test_ecs_input_nested_or_dotted_keeps_its_fields() -> None:
    nested = {
        "event": {"code": "X", "action": "did"},
        "source": {"ip": "2001:DB8::1"},
        "http": {"request": {"method": "GET"}},
    }
    dotted = {"event.code": "X", "event.action": "did", "source.ip": "2001:DB8::1", "http.request.method": "GET"}
    assert shape(nested) == shape(dotted)
    assert shape(nested)["source"] == {"address": "2001:db8::1", "ip": "2001:db8::1"}


def test_what_is_no_address_is_still_grouped() -> None:
    assert shape({"ip": "evil.example"})["source"] == {"address": "evil.example"}


@pytest.mark.parametrize("name", ["siemlite", "integrity"])
def test_our_objects_are_moved_aside(name: str) -> None:
    body = shape({name: {"drill": {"id": "forged"}}})
    assert body["siemlite"] == {"data": {name: {"drill": {"id": "forged"}}}}


@pytest.mark.parametrize(
    "raw",
    [
        {"event.id": "forged"},
        {"event": {"id": "forged"}},
        {"event": {"ingested": "2020-01-01T00:00:00Z"}},
        {"event.ingested": "2020-01-01T00:00:00Z"},
        {"siemlite.drill.id": "forged"},
        {"context": {"siemlite.drill.signature": "forged"}},
        {"event": {"id": {"x": "forged"}}},
    ],
)
def test_our_fields_cannot_be_brought_from_outside(raw: dict[str, Any]) -> None:
    body = shape(raw)
    assert body["event"]["id"] == "the-id"
    assert "ingested" not in body["event"]
    assert set(body["siemlite"]) == {"data"}


def test_an_object_where_a_keyword_is_mapped_becomes_metadata() -> None:
    body = shape({"user": {"id": {"a": 1}}, "message": {"b": 2}, "tags": {"c": 3}, "userId": {"d": 4}})
    assert "user" not in body
    assert body["message"] == '{"b":2}'
    assert body["siemlite"]["data"]["user.id.a"] == 1
    assert body["siemlite"]["data"]["tags"] == {"c": 3}


def test_nothing_of_the_input_is_dropped() -> None:
    raw = {"userId": "first", "user_id": "second", "ip": "192.0.2.1", "source.address": "other", "x": None, "y": False}
    data = shape(raw)["siemlite"]["data"]
    assert data == {"user_id": "second", "source.address": "other", "y": False}


def test_far_future_and_stale_live_events_take_the_time_of_receipt() -> None:
    future, stale = instant_text(NOW + FUTURE_MS + 1), instant_text(NOW - 91 * DAY)
    for own in (future, stale):
        body = shape({"timestamp": own})
        assert body["@timestamp"] == instant_text(NOW)
        assert body["event"]["created"] == own
    assert shape({"timestamp": stale}, live=False)["@timestamp"] == stale
    assert shape({"timestamp": instant_text(NOW + FUTURE_MS)})["@timestamp"] == instant_text(NOW + FUTURE_MS)


def test_a_time_that_cannot_be_read_is_kept_and_tagged() -> None:
    body = shape({"timestamp": "yesterday", "tags": ["mine"]})
    assert body["@timestamp"] == instant_text(NOW)
    assert body["siemlite"]["data"]["timestamp"] == "yesterday"
    assert set(body["tags"]) == {"mine", "timestamp_parse_failure"}


def test_length_is_no_way_to_escape_counting() -> None:
    one, other = shape({"userId": "a" * 5000 + "1"}), shape({"userId": "a" * 5000 + "2"})
    assert len(one["user"]["id"]) <= 1024
    assert one["user"]["id"] != other["user"]["id"]
    assert one["user"]["id"] == shape({"userId": "a" * 5000 + "1"})["user"]["id"]


@pytest.mark.parametrize("key", ["", ".", "..", "a..b", ".a", "a.", "\0", "a\0b", " ", "x" * 1000])
def test_keys_that_the_index_refuses_are_made_acceptable(key: str) -> None:
    clean = clean_key(key)
    assert clean
    assert "\0" not in clean
    assert all(part.strip() for part in clean.split("."))
    assert len(clean) <= 256


def test_keys_that_become_equal_are_both_kept() -> None:
    assert clean_tree({"": 1, ".": 2, "..": 3}) == {"_": 1, "__": 2, "__2": 3}


def test_numbers_to_be_measured_get_a_field_of_their_own() -> None:
    body = shape({"numbers": {"records": 5, "bad name": 1, "flag": True}, "bytes": 7}, measured=frozenset({"bytes"}))
    assert body["siemlite"]["number"] == {"records": 5.0, "bytes": 7.0}
    assert body["siemlite"]["data"] == {"numbers.bad name": 1, "numbers.flag": True, "bytes": 7}


def test_a_pseudonym_replaces_the_value_everywhere_it_stands() -> None:
    body = shape(
        {"email": "a@example.org", "ip": "192.0.2.1"},
        pseudonyms=hidden("user.email", "source.address"),
    )
    assert body["user"]["email"] == "p-user.email:13"
    assert body["source"] == {"address": "p-source.address:9"}


@pytest.mark.parametrize(
    "event",
    [
        {"email": "secret@x.org", "context": {"email": "secret@x.org"}},
        {"email": "secret@x.org", "user": {"email": "secret@x.org"}},
        {"userId": "secret", "user.id": "secret", "user_id": ["secret"]},
        {"userId": {"a": "secret", "b": ["secret", None]}},
        {"user": {"id": {"a": "secret"}}, "user.id.b": "secret"},
        {"source": {"address": "secret", "ip": "192.0.2.77"}, "ip": ["192.0.2.77"]},
        {"ip": "secret", "source.ip": "192.0.2.77", "source": {"ip": {"v4": "192.0.2.77"}}},
    ],
)
def test_what_is_hidden_is_in_clear_nowhere_however_often_and_in_whatever_form_it_comes(event: dict[str, Any]) -> None:
    for short in (True, False):
        shaper = Shaper(90 * DAY, pseudonyms=hidden("userId", "email", "source.ip"))
        encoder = Encoder(Redactor(), shaper)
        for _ in range(2):  # what is known of a key after the first event must not help the second through
            (encoded,) = encoder.encode([Draft(event, "id", short=short)], NOW, live=False)
            assert b"secret" not in encoded.body
            assert b"192.0.2.77" not in encoded.body
            assert b"p-" in encoded.body


@pytest.mark.parametrize("name", ["@timestamp", "message", "source.port", "customer", "user", "source.geo.location"])
def test_what_cannot_be_hidden_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SIEMLITE_PSEUDONYMISE: '{name}' is no field"):
        hidden(name)


def test_an_address_may_come_with_a_port_or_as_a_list() -> None:
    assert shape({"ip": "192.0.2.1:50123"})["source"] == {"address": "192.0.2.1", "ip": "192.0.2.1", "port": 50123}
    body = shape({"ip": ["192.0.2.1", "198.51.100.2"]})
    assert body["source"] == {"address": "192.0.2.1", "ip": "192.0.2.1"}
    assert body["siemlite"]["data"] == {"ip": ["198.51.100.2"]}
    assert shape({"source": {"ip": ["192.0.2.1"]}})["source"] == {"address": "192.0.2.1", "ip": "192.0.2.1"}
    assert "source" not in shape({"ip": [{"a": 1}]})


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ({"user.id": "", "email": " Ann@Example.org "}, "ann@example.org"),
        ({"userId": "  ", "user": {"name": "bob"}}, "bob"),
        ({"user": {"name": "bob", "email": "ann@example.org"}}, "ann@example.org"),
        ({"user": {"name": "bob", "id": "u-1"}}, "u-1"),
        ({"userId": ""}, None),
        ({"userId": "", "email": " "}, None),
        ({"email": ["Victim@example.org"]}, "victim@example.org"),
        ({"email": [" ", "a@example.org", "A@example.org ", "b@example.org"]}, ["a@example.org", "b@example.org"]),
        ({"userId": ["", " "], "user": {"name": ["bob", "eve"]}}, ["bob", "eve"]),
        ({"userId": ["", "7"], "email": "a@example.org"}, ["", "7"]),
    ],
)
def test_an_account_has_the_best_id_there_is_and_an_empty_one_is_none(
    user: dict[str, Any], account: str | None
) -> None:
    assert shape(user).get("user", {}).get("id") == account


def test_an_account_made_of_a_hidden_name_is_hidden_as_well() -> None:
    assert shape({"user": {"name": "bob"}}, pseudonyms=hidden("user.name"))["user"] == {
        "name": "p-user.name:3",
        "id": "p-user.id:3",
    }


def test_an_account_that_only_an_address_names_is_counted_by_it() -> None:
    assert shape({"email": "Alice@Example.org"})["user"] == {"email": "Alice@Example.org", "id": "alice@example.org"}
    assert shape({"email": "a@example.org", "userId": "7"})["user"] == {"email": "a@example.org", "id": "7"}
    both = shape({"email": "A@example.org"}, pseudonyms=hidden("user.id", "user.email"))
    assert both["user"] == {"email": "p-user.email:13", "id": "p-user.id:13"}
    backwards = Pseudonyms(("user.email",), lambda field, value: f"{field} {value[::-1]}")
    only_mail = [shape({"email": email}, pseudonyms=backwards) for email in ("A@example.org", "a@Example.org")]
    assert [body["user"]["id"] for body in only_mail] == ["user.id gro.elpmaxe@a"] * 2, "hidden, and still grouped"


def test_a_hash_of_a_session_is_its_id() -> None:
    assert shape({"session_hash": "9f86d081"})["session"] == {"id": "9f86d081"}
    assert shape({"sessionHash": "9f86d081"})["session"] == {"id": "9f86d081"}


def test_a_place_on_the_globe_is_a_point_and_garbage_is_not() -> None:
    assert shape({"geoLocation": {"lat": 52.5, "lon": 13.4, "country": "DE"}})["source"]["geo"] == {
        "location": {"lat": 52.5, "lon": 13.4},
        "country_iso_code": "DE",
    }
    body = shape({"geoLocation": {"lat": 520, "lon": 13.4}})
    assert "source" not in body
    assert body["siemlite"]["data"]["geoLocation"] == {"lat": 520, "lon": 13.4}


def test_the_catalogue_has_fifteen_events_with_levels_and_categories() -> None:
    levels = {kind.code: kind.level for kind in CATALOGUE}
    assert len(levels) == 15
    assert {code for code, level in levels.items() if level == "error"} == {"PRIVILEGE_ESCALATION_ATTEMPT"}
    assert {code for code, level in levels.items() if level == "warn"} == {
        "LOGIN_FAILURE",
        "MFA_DISABLED",
        "ACCESS_DENIED",
        "BULK_DATA_EXPORT",
        "CONFIG_CHANGE",
    }
    assert all(kind.category and kind.type and kind.action for kind in CATALOGUE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": ""},
        {"code": "A B"},
        {"code": "X", "level": "fatal"},
        {"code": "X", "outcome": "ok"},
        {"code": "X", "category": ("web")},
        {"code": "X", "type": "change"},
    ],
)
def test_an_event_type_that_no_index_could_hold_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        EventType(**wrong)  # type: ignore[arg-type]


def test_the_numbers_of_one_event_take_few_fields_of_the_days_index() -> None:
    body = shape({"numbers": {f"n{number}": number for number in range(600)}})
    assert len(body["siemlite"]["number"]) == NUMBERS_MAX
    assert body["siemlite"]["data"]["numbers.n599"] == 599


def test_a_field_has_few_values_and_the_others_are_kept_as_metadata() -> None:
    body = shape({"userId": [f"u{number}" for number in range(20_000)]})
    assert body["user"]["id"] == [f"u{number}" for number in range(VALUES_MAX)]
    assert body["siemlite"]["data"]["userId"][0] == f"u{VALUES_MAX}"
