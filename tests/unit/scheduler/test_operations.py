"""The daemon's own troubles reach people, by what still works, once."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.alerts.outbox import Action
from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.channels.console import ConsoleChannel
from pipeline.delivery.kibana import Link
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure, RetryPolicy
from pipeline.delivery.routing import Routing
from pipeline.detection.timeline import Severity
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.scheduler.local_outbox import LocalOutbox
from pipeline.scheduler.operations import CLEAR_S, Operations, Trouble
from tests.unit.clocks import ManualClock
from tests.unit.waiting import until


class Told:
    """A channel that keeps what it is told, or fails."""

    reaches_people = True

    def __init__(self, name: str, actions: frozenset[Action]) -> None:
        self.name = name
        self.actions = actions
        self.notices: list[Notice] = []
        self.failure: Failure | None = None

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        if self.failure is not None:
            raise SendError(self.failure)
        self.notices.append(notice)

    def close(self) -> None:
        """See `Channel.close`."""


AWAY = Trouble(
    "elasticsearch", "Elasticsearch is unreachable", "it says password=hunter2", "Look.", Severity.CRITICAL, 60
)
SLACK_FAILS = Trouble(
    "channel slack", "alerts do not go out by slack", "HTTP 404", "Mend it.", patience_s=0, channel="slack"
)


class World:
    """Operations with two channels, and the troubles that there are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.slack = Told("slack", frozenset({Action.OPEN}))
        self.email = Told("email", frozenset({Action.OPEN, Action.RESOLVE}))
        self.channels: dict[str, Channel] = {"console": ConsoleChannel(), "slack": self.slack, "email": self.email}
        self.present: list[Trouble] = []
        self.outbox = LocalOutbox(path)
        self.operations = self.started()

    def started(self) -> Operations:
        """Return operations as a new start of the daemon has them."""
        return Operations(
            self.outbox,
            self.channels,
            Routing(self.channels),
            self.clock,
            [lambda: self.present],
            host="host-1",
            clean=lambda text: text.replace("hunter2", "[REDACTED]"),
            policy=RetryPolicy(),
            share=lambda: 0.5,
        )

    def later(self, seconds: float) -> None:
        """Let time pass, looking and sending now and then."""
        for _ in range(int(seconds // 5)):
            self.clock.advance(5)
            self.operations.look()
            self.operations.send()

    def said(self, channel: Told) -> list[str]:
        """Return the headings that a channel was told."""
        return [notice.heading for notice in channel.notices]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "home" / "outbox.db")
    yield world
    world.outbox.close()


OPENED = "[CRITICAL] siemlite: Elasticsearch is unreachable"
OVER = "[CRITICAL] Resolved: siemlite: Elasticsearch is unreachable"


def test_a_trouble_that_lasts_is_told_once_and_its_end_too(world: World) -> None:
    world.present = [AWAY]
    world.later(55)
    assert world.said(world.email) == []
    world.later(300)
    assert world.said(world.slack) == world.said(world.email) == [OPENED]
    world.present = []
    world.later(CLEAR_S + 10)
    assert world.said(world.slack) == [OPENED]
    assert world.said(world.email) == [OPENED, OVER]
    assert world.email.notices[0].alert_id == world.email.notices[1].alert_id


def test_a_trouble_that_comes_and_goes_disturbs_nobody(world: World) -> None:
    for _ in range(5):
        world.present = [AWAY]
        world.later(20)
        world.present = []
        world.later(CLEAR_S + 10)
    assert world.said(world.email) == []


def test_a_trouble_that_flickers_is_one_trouble(world: World) -> None:
    for _ in range(20):
        world.present = [AWAY]
        world.later(20)
        world.present = []
        world.later(10)
    assert world.said(world.email) == [OPENED]


def test_a_channels_trouble_is_told_through_the_others(world: World) -> None:
    world.slack.failure = Failure("HTTP 404", permanent=True)
    world.present = [SLACK_FAILS]
    world.later(10)
    assert world.said(world.email) == ["[HIGH] siemlite: alerts do not go out by slack"]


def test_where_only_the_failing_channel_is_left_the_console_says_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    del world.channels["email"]
    world.present = [SLACK_FAILS]
    world.operations = world.started()
    world.later(10)
    assert "siemlite: alerts do not go out by slack" in capsys.readouterr().err


def test_what_is_told_is_redacted(world: World) -> None:
    world.present = [AWAY]
    world.later(70)
    assert "hunter2" not in repr(world.email.notices)
    assert "[REDACTED]" in world.email.notices[0].summary
    assert b"hunter2" not in world.path.read_bytes()


def test_a_channel_that_fails_is_tried_again_and_the_end_does_not_overtake_the_beginning(world: World) -> None:
    world.email.failure = Failure("HTTP 500")
    world.present = [AWAY]
    world.later(70)
    world.present = []
    world.later(CLEAR_S + 20)
    assert world.said(world.slack) == [OPENED]
    world.email.failure = None
    world.later(600)
    assert world.said(world.email) == [OPENED, OVER]
    assert world.email.notices[0].repeated


def test_what_was_raised_before_a_crash_is_neither_raised_again_nor_forgotten(world: World) -> None:
    world.email.failure = Failure("HTTP 500")
    world.present = [AWAY]
    world.later(70)
    world.outbox.close()
    world.outbox = LocalOutbox(world.path)
    world.operations = world.started()
    world.email.failure = None
    world.later(700)
    assert world.said(world.slack) == world.said(world.email) == [OPENED]
    world.present = []
    world.outbox.close()
    world.outbox = LocalOutbox(world.path)
    world.operations = world.started()
    world.later(CLEAR_S + 10)
    assert world.said(world.email) == [OPENED, OVER]


def test_two_processes_of_a_home_tell_it_once(world: World) -> None:
    other = LocalOutbox(world.path)
    world.present = [AWAY]
    second = Operations(
        other, world.channels, Routing(world.channels), world.clock, [lambda: world.present], host="host-1"
    )
    for _ in range(30):
        world.clock.advance(5)
        for operations in (world.operations, second):
            operations.look()
        for operations in (second, world.operations):
            operations.send()
    other.close()
    assert world.said(world.email) == [OPENED]


def test_a_message_that_no_channel_is_left_for_is_given_up(world: World) -> None:
    world.present = [AWAY]
    world.clock.advance(61)
    world.operations.look()
    world.clock.advance(61)
    world.operations.look()
    del world.channels["slack"]
    world.operations.send()
    assert world.outbox.owing() == {"slack"}
    assert world.operations.give_up_unknown() == 1
    assert not world.outbox.owing()


def test_nobody_else_reads_the_outbox(world: World) -> None:
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in world.path.parent.iterdir())


def test_of_two_that_raise_the_same_trouble_at_once_one_owes_the_message(world: World) -> None:
    world.present = [AWAY]
    world.later(65)
    notice = world.outbox.troubles()["elasticsearch"]
    assert not world.outbox.raise_("elasticsearch", notice, ["email"], world.clock.now_ms())
    assert world.outbox.clear("elasticsearch", notice, [], world.clock.now_ms())
    assert not world.outbox.clear("elasticsearch", notice, ["email"], world.clock.now_ms())
    assert not world.outbox.owing()


def test_a_notice_is_read_as_it_was_stored(world: World) -> None:
    world.present = [AWAY]
    world.later(65)
    stored = replace(
        world.outbox.troubles()["elasticsearch"],
        alert_id="a2",
        group=(("host.name", "db"),),
        span=("Quiet since", "Noticed"),
        examples=("one", "two"),
        links=(Link("Kibana", "https://k"),),
    )
    assert world.outbox.raise_("another", stored, [], world.clock.now_ms())
    assert world.outbox.troubles()["another"] == stored


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME"):
        LocalOutbox(tmp_path / "home" / "outbox.db")
    (tmp_path / "outbox.db").write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        LocalOutbox(tmp_path / "outbox.db")


def test_every_thread_of_the_daemon_may_use_the_outbox(world: World) -> None:
    world.present = [AWAY]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(world.later, 70).result()
    assert world.said(world.slack) == world.said(world.email) == [OPENED]


def test_a_failure_of_the_disk_leaves_nothing_half_done_and_the_outbox_usable(world: World) -> None:
    with sqlite3.connect(world.path) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    world.present = [AWAY]
    with pytest.raises(RetryableError, match="disk full"):
        world.later(70)
    assert (world.outbox.troubles(), world.outbox.owing()) == ({}, frozenset())
    other.execute("DROP TRIGGER full")
    other.close()
    world.later(70)
    assert list(world.outbox.troubles()) == ["elasticsearch"]
    world.present = []
    world.later(70)
    assert (world.outbox.troubles(), world.outbox.owing()) == ({}, frozenset())


def test_on_a_full_disk_troubles_are_told_once_without_the_outbox_and_that_too(world: World) -> None:
    world.present = [AWAY]
    world.later(70)
    with sqlite3.connect(world.path) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    passes = replace(AWAY, name="passes", title="passes do not succeed")
    for present in ([AWAY, passes], [AWAY, passes], [], [AWAY, passes], []):
        world.present = present
        for _ in range(5):
            with suppress(RetryableError):
                world.later(20)
    opened = [(notice.action.value, notice.title) for notice in world.email.notices]
    assert opened == [
        ("open", "siemlite: Elasticsearch is unreachable"),
        ("open", "siemlite: passes do not succeed"),
        ("open", "siemlite: the scheduler's own outbox cannot be used"),
    ]
    assert "disk full" in str(world.email.notices)
    other.execute("DROP TRIGGER full")
    other.close()
    for _ in range(3):
        world.later(70)
    ids = {notice.alert_id: notice.title for notice in world.email.notices}
    assert len(ids) == 3
    ended = sorted(notice.alert_id for notice in world.email.notices if notice.action is Action.RESOLVE)
    assert ended == sorted(ids)


STORED = (
    '{"alert_id":"a1","delivery_id":"a1-open-1","action":"open","severity":"critical","title":"siemlite: away",'
    '"summary":"host-1: gone","detection_id":"siemlite_operations","guide":"Look.","group":[["host.name","host-1"]],'
    '"first":"2025-06-15T15:06:40.000Z","crossing":"2025-06-15T15:06:40.000Z","last":"2025-06-15T15:06:40.000Z",'
    '"state":"open","attack":[],"tags":[],"count":0,"members":0,"links":[{"label":"Kibana","url":"https://k","kind":"x"}],'
    '"examples":[],"drill":null,"by":null,"note":"","repeated":false,"colour":"red"}'
)
"""A notice as this version stores it, with parts that a later one might add."""


def stored(world: World, text: str) -> None:
    name = "a1" if text == STORED else "spoilt"
    with sqlite3.connect(world.path) as other:
        other.execute("INSERT INTO troubles VALUES (?, ?, ?)", (name, name, text))
        other.execute("INSERT INTO records VALUES (?, ?, 0)", (name, text))
        other.execute(
            "INSERT INTO messages (channel, notice, action, state, attempts, created_ms, next_attempt_ms, "
            "claimed_until_ms) VALUES ('email', ?, 'open', 'pending', 0, 0, 0, 0)",
            (text,),
        )
    other.close()


def test_what_another_version_stored_is_told_recorded_and_cleared(world: World) -> None:
    stored(world, STORED)
    world.operations.send()
    [told] = world.email.notices
    assert (told.title, told.links) == ("siemlite: away", (Link("Kibana", "https://k"),))
    [notice] = world.outbox.unrecorded()
    world.outbox.recorded(notice)
    assert world.outbox.unrecorded() == []
    world.later(2 * CLEAR_S)
    assert [notice.action for notice in world.email.notices] == [Action.OPEN, Action.RESOLVE]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"action":"sing"}', STORED.replace("critical", "grave")])
def test_a_row_that_cannot_be_read_is_set_aside_and_keeps_no_other_from_people(
    world: World, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored(world, text)
    stored(world, STORED)
    world.operations.send()
    assert [notice.title for notice in world.email.notices] == ["siemlite: away"]
    assert [notice.alert_id for notice in world.outbox.unrecorded()] == ["a1"]
    assert [notice.alert_id for notice in world.outbox.troubles().values()] == ["a1"]
    assert sum("set aside" in record.message for record in caplog.records) == 3
    world.later(10)
    assert sum("set aside" in record.message for record in caplog.records) == 3


class Hangs(Told):
    """A channel that takes a message only once it is released."""

    def __init__(self, name: str, actions: frozenset[Action]) -> None:
        super().__init__(name, actions)
        self.release = threading.Event()

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        assert self.release.wait(30)
        super().send(notice)


@pytest.mark.parametrize("outbox_works", [True, False])
def test_a_channel_that_hangs_holds_up_no_other(world: World, outbox_works: bool) -> None:
    hanging = Hangs("slack", frozenset({Action.OPEN}))
    world.channels["slack"] = hanging
    world.present = [replace(AWAY, patience_s=0.0)]
    if not outbox_works:
        world.outbox.close()
    with ThreadPoolExecutor(2) as pool:
        try:
            work = [pool.submit(chore.run) for chore in world.operations.chores() if "look" in chore.name]
            if outbox_works:
                work[0].result(30)
                work += [pool.submit(chore.run) for chore in world.operations.chores() if "tell" in chore.name]
            expected = 1 if outbox_works else 2  # the outbox's own trouble is the second
            until(lambda: len(world.email.notices) == expected)
            assert not hanging.notices
        finally:
            hanging.release.set()
    assert len(hanging.notices) == expected
