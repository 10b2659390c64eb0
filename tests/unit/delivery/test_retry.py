"""When a delivery is tried again, as a table."""

from dataclasses import replace

import pytest

from pipeline.alerts.outbox import Action, Delivery, DeliveryState
from pipeline.delivery.retry import Failure, RetryPolicy

NOW = 1_750_000_000_000
ENTRY = Delivery("slack", Action.OPEN, NOW, NOW, claimed_by="me", claimed_until_ms=NOW + 1)
FULL = 0.999999


@pytest.mark.parametrize(("attempts", "widest_s"), [(0, 1), (1, 2), (2, 4), (7, 128), (8, 256), (9, 300), (60, 300)])
def test_the_delay_doubles_up_to_a_ceiling_and_jitter_takes_any_share_of_it(attempts: int, widest_s: int) -> None:
    entry = replace(ENTRY, attempts=attempts)
    longest = RetryPolicy().failed(entry, Failure("HTTP 500"), NOW, FULL)
    shortest = RetryPolicy().failed(entry, Failure("HTTP 500"), NOW, 0.0)
    assert longest.next_attempt_ms - NOW == pytest.approx(widest_s * 1000, abs=2)
    assert shortest.next_attempt_ms - NOW == 200
    assert longest.state is DeliveryState.PENDING
    assert longest.claimed_by is None


def test_retry_after_is_a_lower_bound_within_reason() -> None:
    asked = RetryPolicy().failed(ENTRY, Failure("HTTP 429", retry_after_s=30), NOW, 0.0)
    assert asked.next_attempt_ms - NOW == 30_000
    absurd = RetryPolicy().failed(ENTRY, Failure("HTTP 429", retry_after_s=1e9), NOW, 0.0)
    assert absurd.next_attempt_ms - NOW == 3_600_000


def test_what_can_never_succeed_is_dead_at_once_and_says_why() -> None:
    dead = RetryPolicy().failed(ENTRY, Failure("HTTP 404: no_service", permanent=True), NOW, 0.5)
    assert (dead.state, dead.attempts, dead.last_error) == (DeliveryState.DEAD, 1, "HTTP 404: no_service")


def test_nothing_is_retried_for_ever() -> None:
    policy = RetryPolicy()
    entry, now, rounds = ENTRY, NOW, 0
    while entry.pending:
        entry = policy.failed(entry, Failure("HTTP 500"), now, FULL)
        now = max(now, entry.next_attempt_ms)
        rounds += 1
    assert now - NOW > 7 * 86_400_000
    assert rounds < 2500


def test_what_fails_thousands_of_times_within_its_week_is_given_up_too() -> None:
    policy, entry, tried = RetryPolicy(), ENTRY, 0
    while entry.pending:
        entry = policy.failed(entry, Failure("HTTP 429", retry_after_s=0.1), NOW + tried, 0.0)
        tried += 1
        assert tried <= 5000
    assert (entry.state, entry.attempts) == (DeliveryState.DEAD, 5000)


def test_after_an_outage_of_days_an_old_entry_is_still_tried_a_dozen_times() -> None:
    policy = RetryPolicy()
    entry, now = replace(ENTRY, created_ms=NOW - 15 * 86_400_000), NOW
    for _ in range(policy.min_attempts - 1):
        entry = policy.failed(entry, Failure("HTTP 500"), now, FULL)
        assert entry.pending
    assert policy.failed(entry, Failure("HTTP 500"), now, FULL).state is DeliveryState.DEAD


def test_ten_failures_in_a_row_are_survived() -> None:
    policy, entry = RetryPolicy(), ENTRY
    for _ in range(10):
        entry = policy.failed(entry, Failure("HTTP 500"), entry.next_attempt_ms, FULL)
    assert entry.pending
    done = policy.sent(entry, NOW + 1)
    assert (done.state, done.sent_ms, done.attempts, done.last_error) == (DeliveryState.SENT, NOW + 1, 11, None)
