"""Examples, how they become events, and what mutations a detection has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.detection import (
    Absence,
    Detection,
    Metric,
    Severity,
    Threshold,
    all_of,
    any_of,
    at_least,
    burst,
    by_count,
    cidr,
    event,
    exists,
    late,
    minutes,
    none_of,
    not_,
    prefix,
    seconds,
    stage,
    until,
)
from pipeline.detection import Sequence as Stages
from pipeline.detection.durations import duration_text
from pipeline.detection.geo import distance_km, place
from pipeline.detection.kind import Kind
from pipeline.detection.mutations import VALUES_MAX, mutations
from pipeline.detection.realise import realised
from pipeline.errors import ConfigurationError


def detection(kind: Kind) -> Detection:
    return Detection("d", "D", "", Path("d.py"), kind)


def test_a_burst_is_spread_over_its_time_with_its_last_event_at_the_end() -> None:
    assert [e.at_ms for e in burst(3).events] == [0, 1000, 2000]
    assert [e.at_ms for e in burst(3, over=minutes(1) - 1, at=5).events] == [5, 30005, 60004]
    assert [e.fields for e in burst(2, vary="user.id").events] == [{"user.id": "user.id-0"}, {"user.id": "user.id-1"}]
    assert len(burst(2, vary="siemlite.data.a b").events) == 2
    assert [e.fields["source.ip"] for e in burst(2, vary="source.ip").events] == ["198.18.0.1", "198.18.0.2"]


def test_examples_add_up_and_know_their_end_and_what_arrives_late() -> None:
    example = burst(2) + late(event(at=5)) + until(seconds(9))
    assert [(e.at_ms, e.arrives) for e in example.events] == [(0, 0), (1000, 0), (5, 1)]
    assert example.end_ms == 9000
    assert example.name == "burst of 2, an event, late, until 9 seconds"


def test_a_wrong_burst_is_refused() -> None:
    number: Any = "2"
    with pytest.raises(ConfigurationError, match="give a whole number of at least 1"):
        burst(0)
    with pytest.raises(ConfigurationError, match="give a whole number of at least 1"):
        burst(number)
    with pytest.raises(ConfigurationError, match="give either every or over"):
        burst(2, every=1, over=1)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: event(at="5"), r"event\(…, at\) is '5'; give a duration"),  # type: ignore[arg-type]
        (lambda: event(["x"]), r"event\(…, fields\) is \['x'\]; give a mapping"),  # type: ignore[arg-type]
        (lambda: burst(2, every=1.5), r"burst\(…, every\) is 1.5"),  # type: ignore[arg-type]
        (lambda: event(at=-5), r"event\(…, at\) is -5; give a duration"),
        (lambda: burst(2, vary=["user.id"]), r"burst\(…, vary\) is \['user.id'\]; give a field name"),  # type: ignore[arg-type]
        (lambda: until(None), r"until\(…\) is None"),  # type: ignore[arg-type]
        (lambda: late(5), r"late\(5\): give an example"),  # type: ignore[arg-type]
        (lambda: minutes("5"), r"minutes\('5'\): give a number"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_example_is_refused_with_the_repair(write: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        write()


def test_what_the_author_leaves_out_is_filled_in_so_that_it_fits() -> None:
    where = {
        "event.code": ["LOGIN_FAILURE", "LOGOUT"],
        "siemlite.number.rows": at_least(7),
        "source.ip": cidr("10.0.0.0/8"),
        "service.name": prefix("auth-"),
        "trace.id": exists(),
        "user.id": not_("root"),
    }
    kind = Threshold(severity=Severity.LOW, where=where, group_by="source.address", at_least=2, within=1)
    (real,) = realised(detection(kind), event({"service.name": "auth-9", "trace.id": None}), 100, "t")
    assert real.time_ms == 100
    assert "trace.id" not in real.fields
    (real,) = realised(detection(kind), event({"service.name": "auth-9"}), 100, "t")
    assert kind.clause.matches(real.fields)
    assert real.fields["service.name"] == "auth-9"


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.6/31", "203.0.113.6"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7/128", "2001:db8::7"),
        ("10.0.0.0/8", "10.0.0.1"),
    ],
)
def test_a_network_of_one_address_is_filled_in_like_any_other(network: str, address: str) -> None:
    kind = Threshold(severity=Severity.LOW, where={"source.ip": cidr(network)}, at_least=1, within=1)
    (real,) = realised(detection(kind), event(), 100, "t")
    assert real.fields == {"source.ip": address}
    assert kind.clause.matches(real.fields)


def test_a_mutation_changes_one_thing() -> None:
    kind = Threshold(
        severity=Severity.LOW, where={"event.code": ["A", "B"], "user.id": "u"}, at_least=2, within=minutes(1)
    )
    assert [label for label, _ in mutations(kind)] == [
        "at_least +1",
        "at_least -1",
        "within +1 ms",
        "within -1 ms",
        "where without event.code",
        "where without event.code: A",
        "where without event.code: B",
        "where without user.id",
    ]
    many = [f"v{number}" for number in range(5_001)]
    listed = Threshold(severity=Severity.LOW, where={"user.id": many}, at_least=1, within=1)
    left_out = [label.removeprefix("where without user.id: ") for label, _ in mutations(listed)][2:]
    assert (left_out[0], left_out[-1], len(left_out)) == ("v0", "v5000", VALUES_MAX)
    nested = Threshold(
        severity=Severity.LOW, where=any_of(all_of({"a": 1}, {"b": 1}), none_of({"c": 1, "d": 1})), at_least=1, within=1
    )
    assert [label for label, _ in mutations(nested)][1:] == [
        f"where without {label}" for label in ("a or b", "a", "b", "c or d", "c or d", "c", "d")
    ]
    steps = Stages(severity=Severity.LOW, group_by="g", stages=(stage({"a": 1, "b": 1}), stage({"c": 1}, 2)), within=1)
    assert [label for label, _ in mutations(steps)] == [
        "stages[0] at_least +1",
        "stages[0] without a",
        "stages[0] without b",
        "stages[1] at_least +1",
        "stages[1] at_least -1",
        "stages[1] without c",
        "the last two stages exchanged",
    ]
    metric = Metric(severity=Severity.LOW, field="n", measure="percentile", percent=90, above=1, at_least=2, within=1)
    assert [label for label, _ in mutations(metric)] == [
        "at_least +1",
        "at_least -1",
        "above +1",
        "percent +1",
        "above -1",
        "percent -1",
    ]
    assert [label for label, _ in mutations(Absence(severity=Severity.LOW, at_least=1, within=1, known_for=2))][
        1:3
    ] == [
        "known_for +1 ms",
        "known_for -1 ms",
    ]
    levels = Threshold(severity=by_count({1: Severity.LOW, 5: Severity.HIGH}), at_least=1, within=1)
    ((label, changed),) = mutations(levels)
    assert (label, changed.severity) == ("at_least +1", by_count({2: Severity.LOW, 5: Severity.HIGH}))


def test_places_are_read_from_their_tiles() -> None:
    berlin, hamburg = (52.52, 13.405), (53.551, 9.993)
    assert 250 < distance_km(berlin, hamburg) < 260
    assert place("29/0/268435456") is not None
    found = place(f"29/{int((13.405 + 180) / 360 * 2**29)}/176018432")
    assert found is not None
    assert abs(found[1] - 13.405) < 1e-5
    assert place(None) is None
    assert place("nowhere") is None


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration_text(ms) for ms in (250, 1000, 90_000, 3_600_000, 86_400_000 * 30)] == [
        "250 ms",
        "1 second",
        "90 seconds",
        "1 hour",
        "30 days",
    ]
