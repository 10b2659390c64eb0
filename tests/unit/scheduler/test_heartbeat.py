"""The heartbeat stops when passes stop."""

import pytest
from pydantic import SecretStr

from pipeline.delivery.channels.http import Poster
from pipeline.scheduler.health import Vitals
from pipeline.scheduler.heartbeat import Heartbeat
from pipeline.scheduler.passes import DetectionOutcome, PassOutcome
from tests.unit.clocks import ManualClock
from tests.unit.delivery.receiver import Answer, receiver

GOOD = PassOutcome((DetectionOutcome("a"),))
BAD = PassOutcome((DetectionOutcome("a", error="no"),))


def test_it_beats_after_passes_that_succeeded_and_by_the_leader_alone() -> None:
    clock = ManualClock()
    vitals = Vitals(clock, ready_within_s=45)
    with receiver() as server:
        heartbeat = Heartbeat(Poster(SecretStr(server.url), clock), vitals, recent_s=45)
        assert not heartbeat.beat()
        vitals.pass_ended(GOOD)
        assert not heartbeat.beat()
        vitals.lease_seen(leads=True)
        assert heartbeat.beat()
        clock.advance(40)
        vitals.pass_ended(BAD)
        vitals.pass_ended(None)
        assert heartbeat.beat()
        clock.advance(6)
        assert not heartbeat.beat()
        assert len(server.requests) == 2


def test_a_heartbeat_that_fails_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    vitals = Vitals(clock, ready_within_s=45)
    vitals.lease_seen(leads=True)
    vitals.pass_ended(GOOD)
    with receiver(lambda number: Answer(500 if number < 2 else 200)) as server:
        heartbeat = Heartbeat(Poster(SecretStr(server.url), clock), vitals, recent_s=45)
        assert [heartbeat.beat() for _ in range(3)] == [False, False, True]
    assert caplog.text.count("does not arrive") == 1
    assert caplog.text.count("arrives again") == 1
    assert "s3cr3t" not in caplog.text
