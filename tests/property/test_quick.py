"""The short way from an event to its document gives what the long way gives, for every event that may take it."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.workload import events
from pipeline.events.document import Shaper
from pipeline.events.fields import ALIASES, FIELDS, GEO_ALIASES
from pipeline.events.pseudonyms import Pseudonyms
from pipeline.events.quick import QuickShaper, is_short
from pipeline.events.redaction import Redactor
from tests.property.planted import NAMES, planted_events

NOW = 1_764_000_000_000
LOCATED = {"geo": {"country_iso_code": "DE"}}
redactor = Redactor(["zip"])
shapers = (
    Shaper(90 * 86_400_000),
    Shaper(
        90 * 86_400_000,
        frozenset({"attempt", "order.total"}),
        Pseudonyms(("user.id", "source.address"), lambda name, value: f"p-{name}-{value}"),
        lambda ip: LOCATED,
    ),
)
quick = tuple(QuickShaper(redactor, shaper) for shaper in shapers)

KEYS = (
    *(*ALIASES, *FIELDS, *GEO_ALIASES, *NAMES, "context", "numbers", "numbers.x", "siemlite", "integrity", "event"),
    *("api", "session", "value", "name", "content", "attempt", "order.total", "order", "a", "a.", "a..b", "", " ", "é"),
    *("zip", "zip_code", "\x00", "k" * 190, "k" * 210, "k" * 300, "user", "source", "geo", "data", "message"),
)
TEXTS = (
    *(
        "",
        "x",
        "é",
        "warning",
        "ERROR",
        "LOGIN_FAILURE",
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "host.example",
    ),
    *("2026-11-24T02:00:00.123Z", "2026-11-24T02:00:00+01:00", "1.5,2.5", "Authorization", "X-Api-Key", "--password"),
    *("cookie", "Bearer abc", "password=abc", "1764000000000"),
)
scalars = (
    st.sampled_from(TEXTS)
    | st.text(max_size=12)
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.just(NOW)
)
keys = st.sampled_from(KEYS) | st.text(max_size=6)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
documents = st.dictionaries(keys, trees, max_size=10)


def agree(event: dict[str, Any], which: int) -> bool:
    """Assert that both ways agree, keys in their order included; return whether the short one was taken."""
    before = orjson.dumps(event)
    short = quick[which].shape(event, "an-id", NOW, live=True)
    assert orjson.dumps(event) == before
    if short is None:
        return False
    long = shapers[which].shape(redactor.keys(event), "an-id", NOW, live=True)
    assert short == long
    assert orjson.dumps(short.body) == orjson.dumps(long.body)
    return True


def parsed(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return `event` as it is read from a line, where that line is short."""
    try:
        line = orjson.dumps(event)
    except TypeError:  # an integer that no parser of ours makes
        return None
    return orjson.loads(line) if is_short(line) else None


@settings(max_examples=300, deadline=None)
@given(event=documents, which=st.sampled_from((0, 1)))
def test_any_short_event_gets_the_document_that_the_long_way_gives(event: dict[str, Any], which: int) -> None:
    """Whatever its keys and values are."""
    found = parsed(event)
    if found is not None:
        agree(found, which)


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        {"number": 2**64 - 1},
        [2**63],
        {"a.": 1, "a": 2},
        {"": 1, "..": 2},
        {"value": 1},
        {"loc": ["password"], "input": "hidden"},
        {"session": {"id": "s"}},
        ["--password", "hidden"],
        ["X-Api-Key", "hidden"],
        [["password", "hidden"]],
        {"k" * 300: 1},
        {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}},
    ],
    ids=lambda value: orjson.dumps(value).decode()[:40],
)
def test_what_needs_a_look_around_it_takes_the_long_way(value: object) -> None:
    """Also under a name that is known already."""
    assert agree({"known": "once"}, 0)
    assert not agree({"known": value}, 0)


def test_planted_secrets_get_the_document_that_the_long_way_gives() -> None:
    """In every disguise that the leak suite knows; and enough of them are short for this to mean something."""
    seen = taken = 0
    for event, _ in planted_events(7, 4_000, json_only=True):
        found = parsed(event)
        if found is not None:
            seen += 1
            taken += agree(found, seen % 2)
    assert seen > 1_000
    assert taken > 300


def test_usual_events_take_the_short_way() -> None:
    """All of the benchmark's but those with a name that needs a look around it."""
    taken = [agree(event, 0) for event in events(2_000, 3)]
    assert sum(taken) == len(taken)
