"""What is owed to whom, and in which order."""

from dataclasses import replace

import pytest

from pipeline.alerts.outbox import (
    Action,
    Delivery,
    DeliveryState,
    Outbox,
    Subject,
    acknowledged,
    due,
    escalated,
    from_documents,
    opened,
    reopened,
    resolved,
    retried,
    to_documents,
)
from pipeline.detection.timeline import Severity

NOW = 1_750_000_000_000
HIGH = Subject("d", Severity.HIGH)
CRITICAL = Subject("d", Severity.CRITICAL)


class Routes:
    """Slack hears everything but ends; the pager hears of critical alerts, ends included."""

    def channels(self, subject: Subject) -> tuple[str, ...]:
        return ("slack", "pager") if subject.severity is Severity.CRITICAL else ("slack",)

    def understands(self, channel: str, action: Action) -> bool:
        return channel == "pager" or action in (Action.OPEN, Action.ESCALATE)


def said(outbox: Outbox) -> list[tuple[str, str]]:
    return [(d.channel, d.action.value) for d in outbox]


def sent(outbox: Outbox) -> Outbox:
    return tuple(replace(d, state=DeliveryState.SENT, attempts=1, sent_ms=NOW) for d in outbox)


def test_a_new_alert_is_owed_to_every_channel_that_routing_names() -> None:
    assert said(opened(Routes(), CRITICAL, NOW)) == [("slack", "open"), ("pager", "open")]


def test_who_knows_hears_of_the_escalation_and_who_now_should_is_told() -> None:
    outbox = sent(opened(Routes(), HIGH, NOW))
    assert said(escalated(outbox, Routes(), CRITICAL, NOW))[1:] == [("slack", "escalate"), ("pager", "open")]


def test_what_was_not_even_tried_yet_needs_no_escalation_beside_it() -> None:
    outbox = opened(Routes(), HIGH, NOW)
    assert said(escalated(outbox, Routes(), CRITICAL, NOW))[1:] == [("pager", "open")]


def test_only_channels_that_were_told_and_understand_it_hear_of_the_end() -> None:
    outbox = sent(opened(Routes(), CRITICAL, NOW))
    assert said(acknowledged(outbox, Routes(), NOW))[2:] == [("pager", "acknowledge")]
    assert said(resolved(outbox, Routes(), NOW))[2:] == [("pager", "resolve")]
    assert resolved((), Routes(), NOW) == ()


def test_an_episode_that_goes_on_is_told_anew_to_those_who_heard_its_end() -> None:
    outbox = sent(resolved(opened(Routes(), CRITICAL, NOW), Routes(), NOW))
    assert said(reopened(outbox, Routes(), CRITICAL, NOW))[3:] == [("pager", "open")]


def test_messages_to_one_channel_keep_their_order_whatever_waits_for_another() -> None:
    outbox = resolved(opened(Routes(), CRITICAL, NOW), Routes(), NOW)
    waiting = (outbox[0], replace(outbox[1], next_attempt_ms=NOW + 500, attempts=1), outbox[2])
    assert due(waiting, "slack", NOW) == 0
    assert due(waiting, "pager", NOW) is None
    assert due(waiting, "pager", NOW + 500) == 1
    assert due((outbox[0], replace(outbox[1], state=DeliveryState.SENT), outbox[2]), "pager", NOW) == 2


def test_a_claim_keeps_others_away_until_it_runs_out() -> None:
    [entry] = opened(Routes(), HIGH, NOW)
    claimed = (replace(entry, claimed_by="a", claimed_until_ms=NOW + 10),)
    assert due(claimed, "slack", NOW + 9) is None
    assert due(claimed, "slack", NOW + 10) == 0
    assert due(claimed, "slack", NOW, "another") is None
    assert due(claimed, "slack", NOW, str(claimed[0].claimed_by)) == 0


@pytest.mark.parametrize("ahead_ms", [86_400_000, 30 * 86_400_000])
def test_a_clock_that_is_set_back_holds_up_no_message(ahead_ms: int) -> None:
    [entry] = opened(Routes(), HIGH, NOW + ahead_ms)
    assert due((entry,), "slack", NOW) == 0
    claimed = replace(entry, claimed_by="a", claimed_until_ms=NOW + ahead_ms + 60_000)
    assert due((claimed,), "slack", NOW) == 0


def test_what_was_never_tried_waits_for_no_clock_and_what_failed_waits_its_time() -> None:
    [entry] = opened(Routes(), HIGH, NOW + 60_000)
    assert due((entry,), "slack", NOW) == 0
    assert due((replace(entry, attempts=1),), "slack", NOW) is None


@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_retry_owes_again_what_was_given_up_and_nothing_else(state: DeliveryState) -> None:
    entry = Delivery("slack", Action.OPEN, NOW, NOW, state, attempts=9, last_error="HTTP 404")
    [after] = retried((entry,), NOW + 5)
    assert after == (
        Delivery("slack", Action.OPEN, NOW + 5, NOW + 5, last_error="HTTP 404")
        if state is DeliveryState.DEAD
        else entry
    )


def test_what_is_stored_is_what_is_read() -> None:
    outbox = (
        *sent(opened(Routes(), CRITICAL, NOW)),
        Delivery("x", Action.RESOLVE, NOW, NOW + 1, DeliveryState.DEAD, 3, "no", None, "me", NOW + 2),
    )
    assert from_documents(to_documents(outbox)) == outbox
