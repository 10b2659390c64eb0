"""How many requests go out at once, and when the next may."""

import random

import pytest

from pipeline.shipping.backoff import Backoff
from pipeline.shipping.pace import Pace, Shipped


class _Share(random.Random):
    """Says the same share each time."""

    def random(self) -> float:
        return 0.5


@pytest.fixture
def pace() -> Pace:
    return Pace(2, Backoff(base=4.0, ceiling=10.0, floor=0.1), _Share())


def test_as_many_requests_go_out_as_the_limit_allows(pace: Pace) -> None:
    assert pace.may_start(0.0)
    pace.active = 1
    assert pace.may_start(0.0)
    pace.active = 2
    assert not pace.may_start(0.0)


def test_a_failed_request_holds_up_all_for_a_delay_that_grows(pace: Pace) -> None:
    assert pace.held_up("503", 100.0, stored=0, refused=0, whole=True)
    assert not pace.may_start(101.9)
    assert pace.may_start(102.0)
    assert not pace.held_up("503", 102.0, stored=0, refused=0, whole=True), "it was said before"
    assert not pace.may_start(105.9)
    assert pace.may_start(106.0)


def test_another_reason_is_told_too_and_a_flood_of_reasons_is_not(pace: Pace) -> None:
    def fresh(reason: str) -> bool:
        return pace.held_up(reason, 0.0, stored=0, refused=0, whole=True)

    assert fresh("no answer after 10.1 s")
    assert not fresh("no answer after 10.2 s")
    assert fresh("the template is missing")
    assert not fresh("no answer after 11 s")
    assert sum(fresh("so " + "o" * number) for number in range(100)) == 3
    pace.succeeded(stored=1, refused=0)
    assert fresh("the template is missing")


def test_an_event_that_must_wait_does_not_hold_up_the_others(pace: Pace) -> None:
    pace.held_up("429 for one event", 100.0, stored=9, refused=0, whole=False)
    assert pace.may_start(100.0)


def test_after_a_failure_one_request_at_a_time_until_four_succeeded(pace: Pace) -> None:
    pace.held_up("503", 0.0, stored=0, refused=0, whole=True)
    pace.active = 1
    for number in range(4):
        assert not pace.may_start(60.0), number
        assert pace.succeeded(stored=1, refused=0) is (number == 0), "only the first ends a hold-up"
    assert pace.may_start(60.0)
    for _ in range(10):
        pace.succeeded(stored=1, refused=0)
    pace.active = 2
    assert not pace.may_start(60.0), "never beyond the limit"


def test_the_account_adds_up(pace: Pace) -> None:
    pace.succeeded(stored=10, refused=1)
    pace.held_up("429", 0.0, stored=7, refused=2, whole=False)
    assert pace.shipped == Shipped(stored=17, refused=3, requests=2, retries=1, held_up="429")
    pace.succeeded(stored=3, refused=0)
    assert pace.shipped == Shipped(stored=20, refused=3, requests=3, retries=1, held_up="")
