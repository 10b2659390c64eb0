"""From outbox to channel, through every failure that a channel can have: a real Elasticsearch, real HTTP servers."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import trustme
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from pipeline.alerts.actions import AlertActions
from pipeline.alerts.evidence import EngineEvidence
from pipeline.alerts.outbox import Action, to_documents
from pipeline.alerts.record import ALIAS, INDEX, Alert
from pipeline.alerts.search import all_alerts, refresh
from pipeline.alerts.store import AlertStore
from pipeline.delivery.channels.base import Channel, SendError, load_channels
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.channels.slack import SlackChannel
from pipeline.delivery.dispatcher import CLAIM_MS, Dispatcher
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure
from pipeline.delivery.routing import Routing
from pipeline.detection.timeline import Severity
from pipeline.elastic.client import connect
from pipeline.errors import PermanentError, RetryableError
from pipeline.settings import Settings, load_settings
from tests.unit.alerts.memory_engine import MemoryEngine, address, detection
from tests.unit.clocks import ManualClock
from tests.unit.delivery.receiver import Answer, Receiver, receiver
from tests.unit.waiting import until

SECRET = "s3cr3tXYZ"


class World:
    """Alerts, two channels with their servers, and as many dispatchers as a test wants."""

    def __init__(self, client: Elasticsearch, channels: Mapping[str, Channel], clock: ManualClock) -> None:
        self.client = client
        self.clock = clock
        self.channels = channels
        self.routing = Routing(channels)
        self.engine = MemoryEngine()
        self.store = AlertStore(client, EngineEvidence(self.engine), self.routing, clock)
        self.actions = AlertActions(client, self.routing, clock)
        self.dispatcher = self.another("one")

    def another(self, owner: str, client: Any = None) -> Dispatcher:
        """Return a dispatcher, as another process would have it."""
        return Dispatcher(client or self.client, self.channels, self.clock, owner=owner, share=lambda: 0.5)

    def attack(self, value: str = "203.0.113.7", severity: Severity = Severity.CRITICAL) -> Alert:
        """Let an alert open; return it."""
        now = self.clock.now_ms()
        self.engine.add(address(value), now, now - 1, now - 2)
        rule = detection(severity=severity)
        [result] = self.engine.evaluate([rule], {}, now)
        self.store.apply(rule, result.findings, on_purpose=True)
        return next(a for a in self.alerts() if a.group == address(value))

    def alerts(self) -> list[Alert]:
        """Return all alerts."""
        refresh(self.client)
        return all_alerts(self.client, {"match_all": {}})

    def states(self, channel: str) -> list[tuple[str, str, int]]:
        """Return action, state and attempts of what the only alert owes a channel."""
        [alert] = self.alerts()
        return [(d.action.value, d.state.value, d.attempts) for d in alert.deliveries if d.channel == channel]


@pytest.fixture
def servers() -> Iterator[tuple[Receiver, Receiver]]:
    with ExitStack() as stack:
        slack = stack.enter_context(receiver())
        pager = stack.enter_context(receiver(lambda _: Answer(202), "/v2/enqueue"))
        yield slack, pager


@pytest.fixture
def world(es_ready: str, servers: tuple[Receiver, Receiver]) -> Iterator[World]:
    slack, pager = servers
    clock = ManualClock()
    client = connect(Settings(_env_file=None), es_ready)
    settings = load_settings(
        None,
        slack_webhook=SecretStr(slack.url),
        pagerduty_key=SecretStr("R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY01"),
        siemlite_pagerduty_url=pager.url,
    )
    channels = load_channels(settings, clock)
    yield World(client, channels, clock)
    for channel in channels.values():
        channel.close()
    client.close()


def failing(answers: list[Answer]) -> Callable[[int], Answer]:
    return lambda number: answers[number] if number < len(answers) else Answer()


def test_what_is_due_goes_out_once_on_each_channel(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, pager = servers
    alert = world.attack()
    assert world.dispatcher.dispatch_due() == 2
    assert world.dispatcher.dispatch_due() == 0
    assert len(slack.requests) == len(pager.requests) == 1
    assert pager.bodies[0]["dedup_key"] == alert.id
    assert world.states("slack") == world.states("pagerduty") == [("open", "sent", 1)]


def test_more_than_a_page_of_alerts_goes_out_in_one_round_the_most_severe_first(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    now = world.clock.now_ms()
    for number in range(130):
        world.engine.add(address(f"10.0.{number}.1"), now, now - 1, now - 2)
    for name, severity in (("low", Severity.LOW), ("critical", Severity.CRITICAL)):
        rule = detection(name, severity=severity)
        [result] = world.engine.evaluate([rule], {}, now)
        world.store.apply(rule, result.findings[: 120 if name == "low" else 3], on_purpose=True)
    world.client.indices.put_settings(index=INDEX, settings={"index": {"refresh_interval": "-1"}})
    assert world.dispatcher.dispatch_due("slack") == 123
    assert [body["text"][:10] for body in slack.bodies[:3]] == ["[CRITICAL]"] * 3
    assert len({request.body for request in slack.requests}) == 123


def test_ten_answers_of_500_are_survived_and_the_message_arrives_once_taken(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(500)] * 10)
    world.attack(severity=Severity.LOW)
    for _ in range(60):
        world.dispatcher.dispatch_due()
        if world.states("slack")[0][1] == "sent":
            break
        world.clock.advance(30)
    assert len(slack.requests) == 11
    assert world.states("slack") == [("open", "sent", 11)]


def test_retry_after_is_kept(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(429, b"rate_limited", {"retry-after": "40"})])
    world.attack("203.0.113.1", Severity.LOW)
    world.attack("203.0.113.2", Severity.LOW)
    world.dispatcher.dispatch_due()
    world.clock.advance(39)
    assert world.dispatcher.dispatch_due() == 0
    assert len(slack.requests) == 1, "nothing else may be sent to a channel that asked for time"
    world.clock.advance(5)
    assert world.dispatcher.dispatch_due() == 2


def test_a_channel_that_fails_is_spared_and_those_who_wait_are_not_charged(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    slack.answer = lambda _: Answer(503)
    for number in range(5):
        world.attack(f"203.0.113.{number}", Severity.LOW)
    for _ in range(20):
        world.dispatcher.dispatch_due()
        world.clock.advance(1)
    attempts = [d.attempts for alert in world.alerts() for d in alert.deliveries]
    assert sum(attempts) == len(slack.requests) < 12


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_what_can_never_succeed_is_dead_at_once_and_waits_for_a_person(
    world: World, servers: tuple[Receiver, Receiver], status: int
) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(status, b"no_service")])
    alert = world.attack(severity=Severity.LOW)
    world.dispatcher.dispatch_due()
    world.clock.advance(100_000)
    world.dispatcher.dispatch_due()
    assert len(slack.requests) == 1
    assert world.states("slack") == [("open", "dead", 1)]
    assert world.alerts()[0].deliveries[0].last_error == f"HTTP {status}: no_service"
    world.actions.retry(alert.id)
    assert world.dispatcher.dispatch_due() == 1
    assert world.states("slack") == [("open", "sent", 1)]


def test_one_channel_that_is_down_delays_no_other(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, pager = servers
    slack.answer = lambda number: Answer(500) if number < 3 else Answer()
    world.attack()
    assert world.dispatcher.dispatch_due() == 1
    assert len(pager.requests) == 1
    for _ in range(20):
        world.clock.advance(5)
        world.dispatcher.dispatch_due()
    assert len(pager.requests) == 1
    assert world.states("slack") == [("open", "sent", 4)]


def test_a_channel_that_hangs_holds_up_no_other(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, pager = servers
    release = threading.Event()
    slack.answer = lambda _: Answer(hang=release)
    world.attack()
    rounds = [threading.Thread(target=world.dispatcher.dispatch_due, args=(name,)) for name in ("slack", "pagerduty")]
    try:
        for each in rounds:
            each.start()
        until(lambda: len(slack.requests) == 1)
        rounds[1].join(60)
        assert rounds[0].is_alive(), "it waits for Slack's answer all the while"
        assert len(pager.requests) == 1
    finally:
        release.set()
        rounds[0].join(60)
    assert world.states("slack") == [("open", "sent", 1)]


def test_a_connection_that_breaks_may_have_delivered_and_is_repeated_with_a_note(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(reset=True)])
    world.attack(severity=Severity.LOW)
    world.dispatcher.dispatch_due()
    world.clock.advance(10)
    assert world.dispatcher.dispatch_due() == 1
    assert "may repeat" not in slack.requests[0].body.decode()
    assert "may repeat" in slack.requests[1].body.decode()


@pytest.fixture
def untrusted_url() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                with contextlib.suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://localhost:{server.getsockname()[1]}/services/T000/B000/{SECRET}"
        stopped.set()
        with socket.create_connection(server.getsockname()):
            thread.join(5)


@pytest.mark.parametrize("fault", ["TLS", "DNS"])
def test_a_channel_that_cannot_be_reached_is_tried_until_it_is_mended_and_delays_no_other(
    world: World, servers: tuple[Receiver, Receiver], untrusted_url: str, fault: str
) -> None:
    slack, pager = servers
    url = untrusted_url if fault == "TLS" else f"https://nowhere.invalid/services/T000/B000/{SECRET}"
    broken = {**world.channels, "slack": SlackChannel(Poster(SecretStr(url), world.clock, timeout_s=5))}
    world.attack()
    before = Dispatcher(world.client, broken, world.clock, owner="broken", share=lambda: 0.5)
    for _ in range(3):
        before.dispatch_due()
        world.clock.advance(10)
    assert len(pager.requests) == 1
    [(_, state, attempts)] = world.states("slack")
    assert (state, attempts) == ("pending", 3)
    [error] = [d.last_error for d in world.alerts()[0].deliveries if d.channel == "slack"]
    assert error is not None
    assert error.startswith("ConnectError: ")
    assert SECRET not in error
    world.clock.advance(300)
    assert world.dispatcher.dispatch_due() == 1
    assert len(slack.requests) == 1
    assert world.states("slack") == [("open", "sent", 4)]


def test_a_slow_channels_line_does_not_keep_a_critical_alert(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    now = world.clock.now_ms()
    for number in range(30):
        world.engine.add(address(f"10.0.{number}.1"), now, now - 1, now - 2)
    low, critical = detection("low", severity=Severity.LOW), detection("critical", severity=Severity.CRITICAL)
    [lows], [criticals] = (world.engine.evaluate([rule], {}, now) for rule in (low, critical))
    world.store.apply(low, lows.findings, on_purpose=True)

    def answer(number: int) -> Answer:
        if number == 2:
            world.store.apply(critical, criticals.findings[:1], on_purpose=True)
        world.clock.advance(4)
        return Answer()

    slack.answer = answer
    assert world.dispatcher.dispatch_due("slack") == 31
    texts = [body["text"] for body in slack.bodies]
    assert next(number for number, text in enumerate(texts) if text.startswith("[CRITICAL]")) <= 5


def test_a_clock_that_is_set_back_keeps_nobody_waiting(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(503)])
    world.attack(severity=Severity.LOW)
    world.dispatcher.dispatch_due()
    world.clock.now -= 86_400_000
    world.clock.elapsed += 10
    assert world.dispatcher.dispatch_due("slack") == 1


def test_messages_to_one_channel_keep_their_order_over_failures(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    _, pager = servers
    pager.answer = lambda number: Answer(500) if number < 2 else Answer(202)
    alert = world.attack()
    world.dispatcher.dispatch_due("pagerduty")
    world.actions.acknowledge(alert.id, "kim")
    world.actions.close(alert.id, "kim")
    for _ in range(5):
        world.clock.advance(10)
        world.dispatcher.dispatch_due("pagerduty")
    assert [body["event_action"] for body in pager.bodies] == [
        "trigger",
        "trigger",
        "trigger",
        "acknowledge",
        "resolve",
    ]
    assert {body["dedup_key"] for body in pager.bodies} == {alert.id}


def test_alerts_whose_turn_has_not_come_hide_none_behind_them(
    world: World,
) -> None:
    now = world.clock.now_ms()
    for number in range(105):
        world.engine.add(address(f"10.0.{number}.1"), now, now - 1, now - 2)
    rule = detection(severity=Severity.CRITICAL)
    [result] = world.engine.evaluate([rule], {}, now)
    world.store.apply(rule, result.findings, on_purpose=True)
    for alert in world.alerts():
        opening = next(d for d in alert.deliveries if d.channel == "slack")
        waiting = (replace(opening, next_attempt_ms=now + 60_000, attempts=1), replace(opening, action=Action.ESCALATE))
        world.client.update(index=INDEX, id=alert.id, doc={"siemlite": {"deliveries": to_documents(waiting)}})
    world.clock.advance(1)
    world.engine.add(address("10.1.1.1"), *(world.clock.now_ms() - n for n in range(3)))
    [result] = world.engine.evaluate([rule], {}, now)
    world.store.apply(rule, result.findings, on_purpose=True)
    refresh(world.client)
    assert world.dispatcher.dispatch_due("slack") == 1


def test_two_dispatchers_send_nothing_twice(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, pager = servers
    for number in range(30):
        world.attack(f"203.0.113.{number}")
    dispatchers = [world.another(f"owner {number}") for number in range(4)]
    barrier = threading.Barrier(4)
    taken: list[int] = []

    def run(dispatcher: Dispatcher) -> None:
        barrier.wait(60)
        taken.append(dispatcher.dispatch_due())

    threads = [threading.Thread(target=run, args=(dispatcher,)) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    while world.dispatcher.dispatch_due():
        pass
    assert len(slack.requests) == len(pager.requests) == 30
    assert sum(taken) <= 60


class Breaking:
    """The real client, whose bulk requests fail from the `n`-th on until it is mended."""

    def __init__(self, client: Elasticsearch, n: int) -> None:
        self._client = client
        self._n = n
        self.mended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, **arguments: Any) -> Any:
        self._n -= 1
        if self._n < 0 and not self.mended:
            raise RetryableError("the connection broke")
        return self._client.bulk(**arguments)


def test_what_was_sent_but_not_recorded_is_remembered_and_not_repeated(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    world.attack(severity=Severity.LOW)
    client = Breaking(world.client, 1)
    dispatcher = world.another("two", client)
    with pytest.raises(RetryableError):
        dispatcher.dispatch_due("slack")
    assert world.states("slack") == [("open", "pending", 0)]
    client.mended = True
    world.clock.advance(2 * CLAIM_MS / 1000)
    dispatcher.dispatch_due("slack")
    assert len(slack.requests) == 1
    assert world.states("slack") == [("open", "sent", 1)]


def test_what_was_sent_is_recorded_once_elasticsearch_is_back_though_nothing_is_due(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    world.attack(severity=Severity.LOW)
    client = Breaking(world.client, 1)
    dispatcher = world.another("two", client)
    with pytest.raises(RetryableError):
        dispatcher.dispatch_due("slack")
    client.mended = True
    dispatcher.note_what_was_sent()
    assert world.states("slack") == [("open", "sent", 1)]
    assert len(slack.requests) == 1


def test_a_crash_between_sending_and_recording_repeats_the_message_and_loses_none(
    world: World, servers: tuple[Receiver, Receiver]
) -> None:
    slack, _ = servers
    world.attack(severity=Severity.LOW)
    with pytest.raises(RetryableError):
        world.another("crashed", Breaking(world.client, 1)).dispatch_due("slack")
    assert world.dispatcher.dispatch_due() == 0, "the claim of the dead keeps others away at first"
    world.clock.advance(CLAIM_MS / 1000)
    assert world.dispatcher.dispatch_due() == 1
    assert len(slack.requests) == 2
    assert "may repeat" in slack.requests[1].body.decode()


def test_a_crash_before_sending_loses_nothing(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    world.attack(severity=Severity.LOW)
    with pytest.raises(RetryableError):
        world.another("crashed", Breaking(world.client, 0)).dispatch_due("slack")
    assert slack.requests == []
    assert world.dispatcher.dispatch_due() == 1


class Losing(Breaking):
    """Its bulk requests are done, and their answers lost, from the `n`-th on until it is mended."""

    def bulk(self, **arguments: Any) -> Any:
        answer = self._client.bulk(**arguments)
        self._n -= 1
        if self._n < 0 and not self.mended:
            raise RetryableError("the answer was lost")
        return answer


def test_a_claim_whose_answer_was_lost_keeps_nobody_waiting(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    world.attack(severity=Severity.LOW)
    client = Losing(world.client, 0)
    dispatcher = world.another("two", client)
    with pytest.raises(RetryableError):
        dispatcher.dispatch_due("slack")
    assert world.another("three").dispatch_due("slack") == 0, "the claim is there"
    client.mended = True
    assert dispatcher.dispatch_due("slack") == 1
    assert "may repeat" not in slack.requests[0].body.decode()
    assert world.states("slack") == [("open", "sent", 1)]


class Refusing:
    """The real client, whose updates of one alert are refused, and any write of it where it is `lost`."""

    def __init__(self, client: Elasticsearch, alert_id: str, *, lost: bool) -> None:
        self._client = client
        self._id = alert_id
        self._refused = {"update", "index"} if lost else {"update"}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, *, operations: Sequence[Mapping[str, Any]], **arguments: Any) -> Any:
        ((kind, target),) = operations[0].items()
        if target["_id"] == self._id and kind in self._refused:
            return {"items": [{kind: {"status": 400, "error": {"reason": "failed to parse field [peer.address]"}}}]}
        return self._client.bulk(operations=operations, **arguments)


@pytest.mark.parametrize("lost", [False, True])
def test_an_alert_that_elasticsearch_refuses_to_change_keeps_no_other_from_people(
    world: World, servers: tuple[Receiver, Receiver], lost: bool
) -> None:
    slack, _ = servers
    spoilt = world.attack("203.0.113.7", Severity.HIGH)
    world.attack("203.0.113.8", Severity.LOW)
    dispatcher = world.another("two", Refusing(world.client, spoilt.id, lost=lost))
    with pytest.raises(PermanentError, match="failed to parse") if lost else contextlib.nullcontext():
        dispatcher.dispatch_due("slack")
    told = "".join(request.body.decode() for request in slack.requests)
    assert "203.0.113.8" in told
    assert ("203.0.113.7" in told) is not lost
    assert [a.deliveries[0].state.value for a in world.alerts()] == (["pending", "sent"] if lost else ["sent", "sent"])


def test_what_is_owed_to_a_channel_that_is_gone_is_given_up_visibly(world: World) -> None:
    world.attack()
    only_slack = {"slack": world.channels["slack"]}
    left = Dispatcher(world.client, only_slack, world.clock, owner="later")
    assert left.give_up_unknown() == 0
    world.clock.advance(11 * CLAIM_MS / 1000)
    assert left.give_up_unknown() == 1
    assert world.states("pagerduty") == [("open", "dead", 1)]
    assert world.states("slack") == [("open", "pending", 0)]


class Odd:
    """A third party's channel that raises what it should not."""

    name = "slack"
    actions = frozenset(Action)
    reaches_people = True

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        raise KeyError("https://hooks.example.org/" + SECRET)

    def close(self) -> None:
        """See `Channel.close`."""


def test_a_channel_that_raises_anything_is_retried_and_its_text_is_not_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.attack(severity=Severity.LOW)
    Dispatcher(world.client, {"slack": Odd()}, world.clock, owner="odd").dispatch_due()
    assert world.states("slack") == [("open", "pending", 1)]
    assert world.alerts()[0].deliveries[0].last_error == "unforeseen: KeyError"
    assert SECRET not in caplog.text


def test_no_secret_of_an_address_is_in_any_document_or_log(
    world: World, servers: tuple[Receiver, Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    slack, pager = servers
    slack.answer = lambda _: Answer(404, f"POST /services/T000/B000/{SECRET}".encode())
    pager.answer = lambda _: Answer(400, b"R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY01 is wrong")
    world.attack()
    world.dispatcher.dispatch_due()
    refresh(world.client)
    documents = str(world.client.search(index=ALIAS)["hits"]["hits"])
    assert "[REDACTED]" in documents
    for text in (documents, caplog.text):
        assert SECRET not in text
        assert "R0UT1NGKEY" not in text


def test_everyone_who_wants_to_know_is_told_of_each_attempt(world: World, servers: tuple[Receiver, Receiver]) -> None:
    slack, _ = servers
    slack.answer = failing([Answer(500, b"")])
    told: list[tuple[str, Failure | None]] = []
    watched = Dispatcher(
        world.client,
        world.channels,
        world.clock,
        owner="w",
        share=lambda: 0.0,
        on_attempt=[lambda channel, failure: told.append((channel, failure))],
    )
    world.attack(severity=Severity.LOW)
    watched.dispatch_due()
    world.clock.advance(1)
    watched.dispatch_due()
    assert told == [("slack", Failure("HTTP 500")), ("slack", None)]


def test_a_send_error_has_a_text_for_people() -> None:
    assert str(SendError(Failure("HTTP 500"))) == "HTTP 500"
