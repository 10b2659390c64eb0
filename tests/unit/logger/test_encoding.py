"""The two ways of the first step: plain events are taken as they are, objects are read in the call."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.encoded import Encoded
from pipeline.logger.encoding import Snapshot, TwoSteps
from pipeline.settings import load_settings
from tests.property.planted import planted_events

NOW = 1_795_485_600_000
steps = TwoSteps(load_settings(None))
plain = TwoSteps(load_settings(None))


class _Pair(Enum):
    PAIR = ("password", "hidden-enum")


class _Word(str):
    __slots__ = ()


def first(**fields: Any) -> Encoded | Snapshot:
    """Take the first step with an event that has `fields`."""
    return steps.first({"event.code": "LOGOUT", "log.level": "info", **fields}, "an-id", NOW)


@pytest.mark.parametrize(
    "value",
    ["text", 1, 2.5, True, {"a": {"b": ["c", {"d": 1}]}}, ["x", "y"], UUID(int=7), {"password": "p"}, []],
    ids=lambda value: type(value).__name__,
)
def test_a_plain_event_is_taken_as_it_is(value: object) -> None:
    assert type(first(value=value)) is Snapshot


@pytest.mark.parametrize(
    "value",
    [
        ("password", "hidden"),
        [1, {"a": [("password", "hidden")]}],
        _Pair.PAIR,
        float("nan"),
        None,
        object(),
        b"bytes",
        datetime(2026, 11, 24, tzinfo=UTC),
        Decimal("1.5"),
        _Word("word"),
        {1: "one"},
        {_Word("k"): "v"},
        2**70,
        "\udcff",
        {"a": {"b": {1, 2}}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_redactor_must_see_as_it_is_is_read_in_the_call(value: object) -> None:
    """A tuple is a pair of a name and a secret, a list of the same two texts is not."""
    assert type(first(extra=value)) is Encoded


def test_a_container_within_itself_is_read_in_the_call() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    assert type(first(extra=loop)) is Encoded


def test_both_ways_lead_to_the_same_document() -> None:
    """For events with secrets in every disguise, objects among them."""
    taken = 0
    for number, (event, secrets) in enumerate(planted_events(11, 1_500)):
        raw = {"event.code": "LOGOUT", "log.level": "info", "service.name": "shop", **event}
        way = steps.first(dict(raw), "an-id", NOW)
        taken += type(way) is Snapshot
        (ours,) = steps.second([way])
        (theirs,) = steps.second([plain._shaped(dict(raw), "an-id", NOW)])
        assert ours == theirs, number
        assert not any(secret.encode() in ours.body for secret in secrets)
    assert taken > 200


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["token", "api", "key", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(fields=st.dictionaries(st.text(max_size=8) | st.sampled_from(["ip", "message", "context"]), values, max_size=5))
def test_any_arguments_lead_to_the_same_document_both_ways(fields: dict[str, Any]) -> None:
    raw = {"log.level": "warn", **fields}
    (ours,) = steps.second([steps.first(dict(raw), "an-id", NOW)])
    (theirs,) = steps.second([plain._shaped(dict(raw), "an-id", NOW)])
    assert ours == theirs


def test_arguments_may_change_after_the_call() -> None:
    order = {"id": 1, "lines": [{"sku": "a"}]}
    way = first(order=order)
    order["id"] = 2
    order["lines"] = []
    assert b'"id":1,"lines":[{"sku":"a"}]' in steps.second([way])[0].body


def test_an_id_that_looks_like_a_token_stays_as_it_is() -> None:
    event_id = "sk-A1b2C3d4E5f6G7h8I9j0K1L2"
    body = orjson.loads(steps.both({"message": f"of {event_id}"}, event_id, 1_795_485_600_000).body)
    assert body["event"]["id"] == event_id
    assert event_id not in body["message"]
