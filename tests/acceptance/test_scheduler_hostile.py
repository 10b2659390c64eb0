"""The daemon while somebody, or the cluster, does its data harm: nothing is missed and nothing is doubled."""

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.elastic.compare_and_set import CONTROL_INDEX
from tests.acceptance.test_scheduler import alerts, attack, ended, ready, told
from tests.command import environment, running
from tests.node import temporary_node
from tests.unit.delivery.receiver import receiver
from tests.unit.waiting import until

BLOCK = "index.blocks.read_only_allow_delete"


def test_a_control_index_that_is_deleted_costs_neither_an_alert_nor_a_repetition(es_ready: str, tmp_path: Path) -> None:
    client = ready(es_ready)
    with receiver() as slack:
        env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, SLACK_WEBHOOK=slack.url, SIEMLITE_INTERVAL="500ms")
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            attack(client, "203.0.113.1")
            until(lambda: told(slack, "203.0.113.1") == 1)
            client.indices.delete(index=CONTROL_INDEX)
            attack(client, "203.0.113.2")
            until(lambda: told(slack, "203.0.113.2") == 1)
            time.sleep(2)
            ended(daemon)
        found = Counter(alert.group[0][1] for alert in alerts(client))
        assert found == Counter({"203.0.113.1": 1, "203.0.113.2": 1})
        assert told(slack, "203.0.113.1") == 1
    client.close()


def test_what_happens_while_a_full_disk_blocks_all_writing_is_told_once_it_does_not(
    es_ready: str, tmp_path: Path
) -> None:
    client = ready(es_ready)
    with receiver() as slack:
        env = environment(tmp_path, ELASTICSEARCH_URL=es_ready, SLACK_WEBHOOK=slack.url, SIEMLITE_INTERVAL="500ms")
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            attack(client, "203.0.113.1")
            until(lambda: told(slack, "203.0.113.1") == 1)
            attack(client, "203.0.113.2")
            client.indices.put_settings(index="security-*", settings={BLOCK: True})
            time.sleep(3)
            daemon.says("waiting for Elasticsearch")
            client.indices.put_settings(index="security-*", settings={BLOCK: None})
            until(lambda: told(slack, "203.0.113.2") >= 1)
            ended(daemon)
        found = Counter(alert.group[0][1] for alert in alerts(client))
        assert found == Counter({"203.0.113.1": 1, "203.0.113.2": 1})
    client.close()


@pytest.mark.long
def test_elasticsearch_away_is_told_by_the_channels_that_still_work_and_the_heartbeat_stops(tmp_path: Path) -> None:
    with temporary_node() as node, receiver() as slack, receiver() as switch:
        client = ready(node.url)
        env = environment(
            tmp_path,
            ELASTICSEARCH_URL=node.url,
            SLACK_WEBHOOK=slack.url,
            SIEMLITE_INTERVAL="500ms",
            SIEMLITE_HEARTBEAT_URL=switch.url,
            SIEMLITE_HEARTBEAT_INTERVAL="1s",
        )
        with running(env, "scheduler") as daemon:
            daemon.says("leading: term 1")
            until(lambda: len(switch.requests) >= 2)
            node.kill()
            until(lambda: told(slack, "Elasticsearch is unreachable") == 1, 100)
            beats = len(switch.requests)
            time.sleep(5)
            assert len(switch.requests) == beats
            node.start()
            attack(client, "203.0.113.1")
            until(lambda: told(slack, "203.0.113.1") == 1)
            until(lambda: len(switch.requests) > beats)
            ended(daemon, signal.SIGTERM)
        assert told(slack, "Elasticsearch is unreachable") == 1
        client.close()
