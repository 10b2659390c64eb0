"""One scheduler leads at a time, and a dead leader is replaced: leases in a real Elasticsearch, clocks by hand."""

import threading
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import connect
from pipeline.scheduler.lease import RENEW_S, TTL_S, Lease
from pipeline.settings import Settings
from tests.unit.clocks import ManualClock


@pytest.fixture
def client(es_ready: str) -> Iterator[Elasticsearch]:
    client = connect(Settings(_env_file=None), es_ready)
    yield client
    client.close()


class Node:
    """A scheduler with a clock of its own, which need not agree with anybody's."""

    def __init__(self, client: Elasticsearch, name: str, wrong_by_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.clock.now += round(wrong_by_s * 1000)
        self.clock.elapsed = abs(wrong_by_s) * 7
        self.lease = Lease(client, self.clock, name)


def let_pass(seconds: float, *nodes: Node) -> None:
    for node in nodes:
        node.clock.advance(seconds)


def test_the_first_leads_and_the_others_stand_by(client: Elasticsearch) -> None:
    a, b = Node(client, "a"), Node(client, "b", wrong_by_s=86_400)
    assert a.lease.keep()
    assert not b.lease.keep()
    for _ in range(20):
        let_pass(RENEW_S, a, b)
        assert a.lease.keep()
        assert not b.lease.keep()
    assert (a.lease.term, b.lease.term) == (1, 1)


@pytest.mark.parametrize("wrong_by_s", [0, 86_400, -86_400])
def test_a_dead_leader_is_replaced_within_15_seconds_whatever_the_clocks_say(
    client: Elasticsearch, wrong_by_s: float
) -> None:
    a, b = Node(client, "a"), Node(client, "b", wrong_by_s)
    a.lease.keep()
    b.lease.keep()
    waited = 0.0
    while not b.lease.keep():
        assert waited >= 0
        let_pass(RENEW_S, b)
        waited += RENEW_S
    assert TTL_S <= waited <= 15 - RENEW_S
    assert b.lease.term == 2


def test_a_leader_lets_go_before_anybody_can_take_over(client: Elasticsearch) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    a.lease.keep()
    b.lease.keep()
    led_together = 0
    for _ in range(100):
        let_pass(0.2, a, b)
        led_together += b.lease.keep() and a.lease.held
    assert b.lease.held
    assert not a.lease.held
    assert led_together == 0


def test_a_leader_that_was_stopped_for_long_finds_its_lease_gone(client: Elasticsearch) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    a.lease.keep()
    b.lease.keep()
    let_pass(TTL_S, a, b)
    assert not a.lease.held
    assert b.lease.keep()
    assert not a.lease.keep()
    let_pass(RENEW_S, a, b)
    assert b.lease.keep()
    assert not a.lease.held


def test_a_leader_that_was_stopped_and_not_replaced_goes_on(client: Elasticsearch) -> None:
    a = Node(client, "a")
    a.lease.keep()
    let_pass(100, a)
    assert not a.lease.held
    assert a.lease.keep()
    assert a.lease.term == 1


def test_a_lease_that_is_given_back_is_taken_at_the_next_look(client: Elasticsearch) -> None:
    a, b = Node(client, "a"), Node(client, "b")
    a.lease.keep()
    assert not b.lease.keep()
    a.lease.release()
    assert not a.lease.held
    assert b.lease.keep()
    a.lease.release()
    assert b.lease.keep()


def test_of_many_that_reach_for_it_at_once_one_gets_it(client: Elasticsearch) -> None:
    for round_ in range(10):
        nodes = [Node(client, f"{round_}-{number}") for number in range(6)]
        for node in nodes:
            node.lease.keep()
        let_pass(TTL_S, *nodes)
        barrier = threading.Barrier(len(nodes))

        def reach(node: Node, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(60)
            node.lease.keep()

        threads = [threading.Thread(target=reach, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(node.lease.held for node in nodes) == 1
