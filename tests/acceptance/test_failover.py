"""Two schedulers, one of which leads: the leader is lost again and again, and every attack is one alert all the same.

The long form (`make failover-test`) loses a hundred leaders, by default from seed 1; `TEST_ROUNDS` and `TEST_SEED`
say otherwise.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.scheduler.lease import RENEW_S, TTL_S
from tests.acceptance.test_scheduler import alerts, attack, ready
from tests.command import Running, environment, running
from tests.unit.delivery.receiver import Receiver, receiver
from tests.unit.waiting import until

ROUNDS = int(os.environ.get("TEST_ROUNDS", "100"))
DETECTION = "brute_force_by_address"
SEED = int(os.environ.get("TEST_SEED", "1"))


class Pair:
    """Two schedulers, of which one leads."""

    def __init__(self, stack: ExitStack, env: dict[str, str]) -> None:
        self._stack = stack
        self._env = env
        self.leader, self.standby = self._start(), self._start()
        self.leader.until(lambda: self._led(self.leader) + self._led(self.standby) > 0, "somebody leads", 30)
        if not self._led(self.leader):
            self.leader, self.standby = self.standby, self.leader

    def lose_leader(self, how: signal.Signals, meanwhile: Callable[[], None], stay_s: float) -> float:
        """Kill or stop the leader; return the seconds until the other led. A stopped one goes on `stay_s` later."""
        led_before = self._led(self.standby)
        self.leader.process.send_signal(how)
        began = time.monotonic()
        meanwhile()
        self.standby.until(lambda: self._led(self.standby) > led_before, "the leader is replaced", TTL_S + 8)
        took = time.monotonic() - began
        lost, self.leader = self.leader, self.standby
        if how is signal.SIGSTOP:
            time.sleep(stay_s)
            lost.process.send_signal(signal.SIGCONT)
            self.standby = lost
        else:
            self.standby = self._start()
            self.standby.says("watching with")
        time.sleep(RENEW_S + 1)  # The new standby must have seen the lease that it is to watch.
        return took

    def _start(self) -> Running:
        return self._stack.enter_context(running(self._env, "scheduler"))

    @staticmethod
    def _led(daemon: Running) -> int:
        return sum("leading: term" in line for line in daemon.stderr)


def lose_leaders(es_ready: str, folder: Path, rounds: int, seed: int) -> str:
    """Lose `rounds` leaders, with an attack right before and right after each; return what there is to say."""
    random = Random(seed)
    client = ready(es_ready)
    replaced: list[float] = []
    with receiver() as slack, receiver() as pagerduty, ExitStack() as stack:
        env = environment(
            folder,
            ELASTICSEARCH_URL=es_ready,
            SLACK_WEBHOOK=slack.url,
            PAGERDUTY_KEY="0123456789abcdef0123456789abcdef",
            SIEMLITE_PAGERDUTY_URL=pagerduty.url,
            SIEMLITE_PAGERDUTY_SEVERITIES="critical,high",
            SIEMLITE_INTERVAL="500ms",
        )
        pair = Pair(stack, env)
        for number in range(rounds):
            address = f"10.{number >> 8}.{number & 255}"
            attack(client, f"{address}.1")
            time.sleep(random.uniform(0, 1.5))  # Wherever it is then: in a pass, in a delivery, between the two.
            how = signal.SIGSTOP if number % 2 else signal.SIGKILL
            second = partial(attack, client, f"{address}.2")
            replaced.append(pair.lose_leader(how, second, stay_s=random.uniform(0, 3)))
            assert replaced[-1] < 15
        wanted = Counter(f"10.{number >> 8}.{number & 255}.{n}" for number in range(rounds) for n in (1, 2))
        try:
            until(lambda: all(told(slack, address) for address in wanted), 120)
        finally:
            found = alerts(client)
        names = {alert.id: alert.group[0][1] for alert in found}
        assert Counter(names.values()) == wanted
        assert all(alert.count == 5 for alert in found)
        until(lambda: len(triggered(pagerduty.bodies)) == len(names), 120)
        incidents = triggered(pagerduty.bodies)
        assert set(incidents) == set(names)
        messages = {address: told(slack, address) for address in wanted}
    client.close()
    repeated = sum(messages.values()) - len(messages)
    again = incidents.total() - len(incidents)
    return (
        f"{rounds} leaders lost, each replaced within {max(replaced):.1f} s: {len(wanted)} attacks, as many alerts, "
        f"{repeated} repeated Slack messages, {again} repeated PagerDuty events that its dedup_key makes harmless"
    )


def told(slack: Receiver, address: str) -> int:
    """Return how many messages said that `address` guesses passwords."""
    texts = [request.body.decode() for request in list(slack.requests)]
    return sum(DETECTION in text and f"{address}:" in text for text in texts)


def triggered(bodies: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each incident was triggered, by its `dedup_key`."""
    triggers = [body for body in bodies if body["event_action"] == "trigger"]
    return Counter(body["dedup_key"] for body in triggers if body["payload"]["component"] == DETECTION)


def test_whoever_leads_is_killed_or_stopped_and_every_attack_is_one_alert(
    es_ready: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lose_leaders(es_ready, tmp_path, 4, SEED)
    with capsys.disabled():
        print(f"\n{said}")


@pytest.mark.long
def test_a_hundred_leaders_are_lost_and_every_attack_is_one_alert(
    es_ready: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lose_leaders(es_ready, tmp_path, ROUNDS, SEED)
    with capsys.disabled():
        print(f"\n{said}")
