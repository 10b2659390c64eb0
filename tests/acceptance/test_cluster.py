"""A cluster of three nodes with one replica: losing a node costs no event and doubles none."""

import json
from pathlib import Path

import pytest

from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from tests.acceptance.crash import truth, worlds
from tests.command import environment, running
from tests.node import temporary_cluster

EVENTS = 200_000
NOW_MS = 1_795_500_000_000
DAYS = ("2026.11.22", "2026.11.23", "2026.11.24")


@pytest.mark.long
def test_a_node_that_is_lost_and_comes_back_while_events_flow_loses_and_doubles_none(tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    worlds.write_file(source, range(EVENTS), NOW_MS)
    with temporary_cluster() as nodes:
        client = connect(Settings(_env_file=None), nodes[0].url, timeout=60)
        install(client)
        for day in DAYS:
            client.indices.create(index=f"security-logs-{day}", settings={"number_of_replicas": 1})
        assert client.cluster.health(wait_for_status="green", timeout="60s")["status"] == "green"
        shards = client.cat.shards(index="security-logs-*", h="prirep,node").body
        primaries = [line.split()[1] for line in str(shards).splitlines() if line.startswith("p ")]
        holders = [node for node in primaries if node != "node-0"]
        victim = nodes[int(holders[0].rsplit("-", 1)[1])]

        def flowed() -> int:
            return int(client.indices.stats(index="security-logs-*")["_all"]["primaries"]["indexing"]["index_total"])

        env = environment(tmp_path / "home", ELASTICSEARCH_URL=nodes[0].url)
        with running(env, "ship", "--json", str(source)) as ship:
            ship.until(lambda: flowed() > EVENTS / 5, "a fifth of the events is sent")
            victim.kill()
            ship.until(lambda: flowed() > EVENTS / 2, "events flow without the node", seconds=180)
            victim.start()
            ship.process.wait(300)
        said = "".join(ship.stderr)
        assert ship.process.returncode == 0, said
        assert json.loads(ship.stdout[-1])["waiting"] == 0
        assert client.cluster.health(wait_for_status="green", timeout="120s")["status"] == "green"
        expected = truth.of_file(source, tmp_path / "home")
        assert len(expected) == EVENTS
        truth.same(expected, truth.found(client))
        assert truth.of_spools(tmp_path / "home") == {}
