"""What keeps alerts quiet: silences, and detections that say more of the same group."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.search import refresh
from pipeline.alerts.silences import Silence, Silences
from pipeline.detection.kind import by_count
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.errors import ConfigurationError, RetryableError
from tests.acceptance.alert_world import HOUR, World, burst, owed, silence, worlds
from tests.unit.alerts.memory_engine import address, detection


@pytest.fixture
def world(es_ready: str) -> Iterator[World]:
    yield from worlds(es_ready)


@pytest.mark.parametrize(
    ("conditions", "silent"),
    [
        ({"detection": "brute_force"}, True),
        ({"detection": "brute_*"}, True),
        ({"detection": "spraying"}, False),
        ({"values": (("source.address", "203.0.113.7"),)}, True),
        ({"values": (("source.address", "203.0.113.8"),)}, False),
        ({"cidr": "203.0.113.0/24"}, True),
        ({"cidr": "2001:db8::/32"}, False),
        ({"cidr": "203.0.113.0/24", "detection": "spraying"}, False),
    ],
)
def test_a_silenced_alert_is_recorded_with_the_silence_on_it(
    world: World, conditions: dict[str, Any], silent: bool
) -> None:
    added = silence(world, **conditions)
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    assert (alert.silence is not None) is silent
    assert owed(alert) == ([] if silent else [("mail", "open", "pending")])
    if silent:
        assert world.source()["siemlite"]["silence"]["id"] == added.id
        assert world.source()["siemlite"]["silence"]["reason"] == "a pentest"


@pytest.mark.parametrize(
    "conditions",
    [
        {"detection": "*"},
        {"detection": "**?"},
        {"detection": "[a-z]*"},
        {"detection": "*_*"},
        {"cidr": "0.0.0.0/0"},
        {"cidr": "::/0"},
        {"cidr": "0.0.0.0/00"},
        {"cidr": "0.0.0.0/0.0.0.0"},
        {"detection": "[!]]*"},
    ],
)
def test_nothing_silences_everything(world: World, conditions: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="nothing silences everything"):
        silence(world, **conditions)
    assert silence(world, detection="*", values=(("source.address", "203.0.113.7"),)).detection == "*"


def test_a_silence_that_cannot_be_read_silences_nothing_and_stops_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    silence(world, values=(("source.address", "203.0.113.8"),))
    spoilt = {"type": "silence", "silence": {"until": "2099-01-01T00:00:00Z", "author": "x"}}
    world.client.index(index=CONTROL_INDEX, id="silence:bad", document=spoilt, refresh=True)
    for number in (7, 8, 7):
        burst(world, f"203.0.113.{number}")
    world.apply()
    assert sorted(alert.silence is not None for alert in world.alerts()) == [False, True]
    assert sum("silence:bad" in record.message for record in caplog.records) == 1


def test_an_attack_that_outlasts_its_silence_is_told(world: World) -> None:
    silence(world, detection="brute_force")
    burst(world, "203.0.113.7")
    world.apply()
    world.clock.advance(1800)
    burst(world, "203.0.113.7")
    world.apply()
    assert owed(world.alerts()[0]) == []
    world.clock.advance(1801)
    assert not world.apply().changed
    burst(world, "203.0.113.7")
    world.apply()
    [alert] = world.alerts()
    assert (owed(alert), alert.silence) == ([("mail", "open", "pending")], None)


def test_an_expired_silence_ends_at_once_and_who_did_what_is_told_to_the_audit(world: World) -> None:
    added = silence(world, detection="brute_force")
    world.silences.expire(added.id, "lee")
    burst(world, "203.0.113.7")
    world.apply()
    assert owed(world.alerts()[0]) == [("mail", "open", "pending")]
    assert [(what, s.id, by) for what, s, by in world.audited] == [
        ("added", added.id, "kim"),
        ("expired", added.id, "lee"),
    ]
    assert world.silences.listed() == ()
    [kept] = world.silences.listed(everything=True)
    assert kept.expired_by == "lee"


def test_who_cannot_leave_a_trace_silences_nothing(world: World) -> None:
    def refuse(_what: str, _silence: Silence, _by: str) -> None:
        raise RetryableError("the disk is full")

    silences = Silences(world.client, world.clock, refuse)
    with pytest.raises(RetryableError):
        silences.add(author="kim", reason="x", until_ms=world.clock.now_ms() + HOUR, cidr="203.0.113.0/24")
    assert silences.listed(everything=True) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"until_ms": 0, "detection": "x"},
        {"reason": " ", "detection": "x"},
        {"author": "", "detection": "x"},
        {},
        {"cidr": "300.0.0.0/8"},
    ],
)
def test_a_silence_has_an_end_a_reason_an_author_and_a_condition(world: World, wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"author": "kim", "reason": "x", "until_ms": world.clock.now_ms() + 1, **wrong}
    with pytest.raises(ConfigurationError):
        world.silences.add(**given)


def test_a_detection_that_says_more_of_the_same_group_keeps_another_quiet(world: World) -> None:
    world.inhibits["guessed"] = ("brute_force",)
    burst(world, "203.0.113.7")
    world.apply(detection("guessed"))
    world.apply()
    burst(world, "203.0.113.8")
    world.apply()
    by_group = {(a.detection_id, a.group[0][1]): a for a in world.alerts()}
    speaker = by_group["guessed", "203.0.113.7"]
    assert by_group["brute_force", "203.0.113.7"].inhibited_by == speaker.id
    assert owed(by_group["brute_force", "203.0.113.7"]) == []
    assert owed(by_group["brute_force", "203.0.113.8"]) == [("mail", "open", "pending")]
    world.actions.close(speaker.id, "kim")
    world.clock.advance(60)
    world.engine.add(address("203.0.113.7"), world.clock.now_ms())
    burst(world, "203.0.113.7")
    world.apply()
    [told] = [a for a in world.alerts() if a.id == by_group["brute_force", "203.0.113.7"].id]
    assert (owed(told), told.inhibited_by) == ([("mail", "open", "pending")], None)


def test_an_alert_that_is_silenced_speaks_for_no_other(world: World) -> None:
    world.inhibits["loud"] = ("brute_force",)
    silence(world, detection="loud")
    burst(world, "203.0.113.7")
    world.apply(detection("loud"))
    refresh(world.client)
    world.apply()
    quiet, told = sorted(world.alerts(), key=lambda a: a.detection_id, reverse=True)
    assert (quiet.detection_id, quiet.silence is not None, owed(quiet)) == ("loud", True, [])
    assert (told.inhibited_by, owed(told)) == (None, [("mail", "open", "pending")])


def test_a_silence_that_comes_after_an_alert_stops_what_would_be_said_of_it_later(world: World) -> None:
    rule = detection(severity=by_count({3: Severity.LOW, 6: Severity.CRITICAL}))
    burst(world, "203.0.113.7")
    world.apply(rule)
    before = owed(world.alerts()[0])
    added = silence(world, detection="brute_force")
    world.clock.advance(1)
    burst(world, "203.0.113.7", events=6)
    world.apply(rule)
    [alert] = world.alerts()
    assert (alert.severity, owed(alert)) == (Severity.CRITICAL, before)
    assert alert.silence is not None
    world.silences.expire(added.id, "kim")
    world.clock.advance(1)
    burst(world, "203.0.113.7", events=7)
    world.apply(rule)
    [alert] = world.alerts()
    assert alert.silence is None
    assert owed(alert)[len(before) :] == [("pager", "open", "pending")]


def test_many_alerts_whose_silence_ends_together_are_one_message(world: World) -> None:
    added = silence(world, detection="brute_force")
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply()
    world.silences.expire(added.id, "kim")
    world.clock.advance(10)
    for number in range(25):
        burst(world, f"203.0.113.{number}")
    world.apply()
    assert [owed(a) for a in world.alerts() if a.is_rollup] == [[("mail", "open", "pending")]]
    assert all(owed(a) == [] for a in world.alerts() if not a.is_rollup)


class Losing:
    """The real client: writes are done unless they are to be `dropped`, and their answers lost; so are later reads."""

    def __init__(self, client: Elasticsearch, *, dropped: bool, deaf: bool) -> None:
        self._client = client
        self._dropped = dropped
        self._deaf = deaf
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, **arguments: Any) -> Any:
        if not self._dropped:
            self._client.bulk(**arguments)
        self._lost = True
        raise RetryableError("the answer was lost")

    def mget(self, **arguments: Any) -> Any:
        if self._lost and self._deaf:
            raise RetryableError("no answer")
        return self._client.mget(**arguments)


@pytest.mark.parametrize(("dropped", "deaf"), [(False, False), (True, False), (False, True)])
def test_what_a_lost_answer_leaves_open_is_looked_up_or_said_to_be_open_and_is_audited_once(
    world: World, dropped: bool, deaf: bool
) -> None:
    audited: list[tuple[str, str]] = []

    def silences() -> Silences:
        client: Any = Losing(world.client, dropped=dropped, deaf=deaf)
        return Silences(client, world.clock, lambda what, silence, by: audited.append((what, silence.id)))

    until, known = world.clock.now_ms() + HOUR, not dropped and not deaf
    refused = contextlib.nullcontext() if known else pytest.raises(RetryableError, match="is not known")
    with refused:
        silences().add(author="kim", reason="a pentest", until_ms=until, detection="brute_force")
    there = silence(world, detection="spraying") if dropped else world.silences.listed()[0]
    with refused:
        assert silences().expire(there.id, "eve").expired_by == "eve"
    assert [what for what, _ in audited] == ["added", "expired"]
    assert audited[1][1] == there.id
    assert world.silences.expire(there.id, "kim").expired_by == ("kim" if dropped else "eve")


def test_who_cannot_leave_a_trace_ends_no_silence(world: World) -> None:
    added = silence(world, detection="brute_force")

    def full(*_: object) -> None:
        raise OSError("no space left on the device")

    with pytest.raises(OSError, match="no space"):
        Silences(world.client, world.clock, full).expire(added.id, "eve")
    assert [found.id for found in world.silences.listed()] == [added.id]
