"""The watch over what was sent."""

import random
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from pipeline.errors import RetryableError
from pipeline.events.encoded import INGESTED, Encoded
from pipeline.shipping.leak_watch import AGAIN_SECONDS, MOST_A_SECOND, LeakWatch, one_event
from tests.unit.clocks import ManualClock

SECRET = "S3CR3T7xyz"


def lines(number: int, **fields: Any) -> bytes:
    document = {"event": {"id": f"id-{number}", "code": "X"}, "service": {"name": "shop"}, **fields}
    return Encoded("security-logs-2026.11.24", f"id-{number}", "info", INGESTED + orjson.dumps(document)[1:]).lines()


class World:
    """A watch with a clock, and the alarms that it raised; `failing` refuses the next ones."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.alarms: list[Mapping[str, Any]] = []
        self.failing = False
        self.watch = LeakWatch(self.alarm, self.clock, rng=random.Random(1))

    def alarm(self, fields: Mapping[str, Any]) -> None:
        """Keep an alarm."""
        if self.failing:
            raise RetryableError("the disk is full")
        self.alarms.append(fields)

    def sent(self, body: bytes) -> None:
        """Let a request have been sent, and the watch have looked, a second later."""
        self.clock.advance(1)
        self.watch.offer(body)
        self.watch.look()


@pytest.fixture
def world() -> World:
    return World()


def test_a_leak_is_raised_with_kind_and_place_and_without_the_secret(world: World) -> None:
    world.sent(lines(1, siemlite={"data": {"body": {"password": SECRET}}}))
    (alarm,) = world.alarms
    assert alarm["event.code"] == "LEAK_FOUND"
    assert alarm["service.name"] == "shop"
    assert alarm["leak"] == {
        "kind": "named_secret",
        "place": "siemlite.data.body.password",
        "offset": 0,
        "index": "security-logs-2026.11.24",
        "event": "id-1",
        "code": "X",
    }
    assert SECRET not in repr(alarm)
    assert (world.watch.watched().sampled, world.watch.watched().found) == (1, 1)


def test_a_secret_in_the_services_name_or_the_code_is_not_repeated(world: World) -> None:
    world.sent(lines(1, service={"name": f"password={SECRET}"}, event={"code": f"https://a:{SECRET}@h/"}))
    assert {alarm["service.name"] for alarm in world.alarms} == {"unknown"}
    assert {alarm["leak"]["code"] for alarm in world.alarms} == {"unknown"}
    assert SECRET not in repr(world.alarms)


def test_what_is_clean_raises_nothing(world: World) -> None:
    world.sent(lines(1, password="[REDACTED]"))
    assert world.alarms == []
    assert world.watch.watched().sampled == 1


def test_every_event_of_a_request_may_be_the_sample(world: World) -> None:
    body = b"".join(lines(number) for number in range(5))
    rng = random.Random(7)
    seen = {one_event(body, rng.random()) for _ in range(200)}
    assert seen == {lines(number) for number in range(5)}


def test_samples_are_few_and_one_that_took_long_is_followed_by_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(1_000):
        world.clock.advance(0.01)
        world.watch.offer(lines(1))
        world.watch.look()
    assert 30 <= world.watch.watched().sampled <= 10 * MOST_A_SECOND

    def slow(_: bytes) -> tuple[()]:
        world.clock.advance(0.5)
        return ()

    monkeypatch.setattr("pipeline.shipping.leak_watch.find_leaks", slow)
    world.sent(lines(1))
    before = world.watch.watched().sampled
    world.clock.advance(48)
    world.sent(lines(1))
    assert world.watch.watched().sampled == before
    world.sent(lines(1))
    assert world.watch.watched().sampled == before + 1


def test_the_same_leak_is_raised_once_for_a_while_and_another_at_once(world: World) -> None:
    for number in range(3):
        world.sent(lines(number, siemlite={"data": {"password": SECRET}}))
    world.sent(lines(9, siemlite={"data": {"token": SECRET}}))
    assert [alarm["leak"]["place"] for alarm in world.alarms] == ["siemlite.data.password", "siemlite.data.token"]
    world.clock.advance(AGAIN_SECONDS)
    world.sent(lines(4, siemlite={"data": {"password": SECRET}}))
    assert len(world.alarms) == 3


def test_an_alarm_that_cannot_be_kept_is_raised_again_until_it_is(world: World) -> None:
    world.failing = True
    world.sent(lines(1, siemlite={"data": {"password": SECRET}}))
    assert not world.watch.idle
    world.failing = False
    world.watch.look()
    assert len(world.alarms) == 1
    assert world.watch.idle


def test_what_is_new_is_told_whatever_was_raised_before_and_one_event_raises_few(world: World) -> None:
    for request in range(3):
        flood = {f"password_{request}_{number}": SECRET for number in range(450)}
        world.sent(lines(request, siemlite={"data": flood}))
    assert len(world.alarms) == 30
    world.sent(lines(9, service={"name": "pay"}, siemlite={"data": {"password": SECRET}}))
    assert world.alarms[-1]["service.name"] == "pay"
