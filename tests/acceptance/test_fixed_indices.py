"""The indices of alerts and of control are mapped as siemlite's, whatever else the cluster is used for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.alerts.record import INDEX as ALERTS
from pipeline.elastic.compare_and_set import CONTROL_INDEX as CONTROL
from pipeline.elastic.fixed import REMAKE, lacking, make_indices
from pipeline.elastic.templates import install
from pipeline.errors import ConfigurationError
from pipeline.shipping.letters import INDEX as LETTERS
from tests.command import environment, siemlite

FOREIGN: dict[str, Any] = {"number_of_shards": 3, "number_of_replicas": 0}


@pytest.fixture
def client(es_url: str) -> Iterator[Elasticsearch]:
    """Return a client of a server where somebody else's template takes the place of siemlite's."""
    client = Elasticsearch(es_url, max_retries=0, request_timeout=60)
    install(client)
    client.indices.put_index_template(
        name="security-foreign", index_patterns=["security-*"], priority=1000, template={"settings": FOREIGN}
    )
    yield client
    client.close()


def test_they_are_mapped_as_ours_under_a_template_of_higher_priority_and_keep_its_settings(
    client: Elasticsearch,
) -> None:
    names = (ALERTS, CONTROL, LETTERS)
    make_indices(client, names)
    for name in names:
        assert lacking(client, name) == []
        assert client.indices.get_settings(index=name)[name]["settings"]["index"]["number_of_shards"] == "3"
    assert client.indices.exists_alias(name="security-alerts", index=ALERTS)
    make_indices(client, names)


def test_one_from_before_a_field_or_an_alias_is_given_it_and_keeps_what_it_holds(client: Elasticsearch) -> None:
    older = {"dynamic": False, "properties": {"rule": {"properties": {"id": {"type": "keyword"}}}}}
    client.indices.create(index=ALERTS, mappings=older)
    client.index(index=ALERTS, id="1", document={"rule": {"id": "x"}}, refresh=True)
    assert {"siemlite.deliveries", "alias security-alerts"} <= set(lacking(client, ALERTS))
    assert "rule.id" not in lacking(client, ALERTS)
    make_indices(client, (ALERTS,))
    assert lacking(client, ALERTS) == []
    assert client.search(index="security-alerts", query={"term": {"rule.id": "x"}})["hits"]["hits"]


def test_one_whose_mapping_was_guessed_is_told_of_with_the_repair(client: Elasticsearch, tmp_path: Path) -> None:
    client.index(index=ALERTS, id="1", document={"rule": {"id": "x"}}, refresh=True)
    with pytest.raises(ConfigurationError, match=r"mending the index security-alerts-v1: .*rule.id.*; reindex it"):
        make_indices(client, (ALERTS,))
    env = environment(tmp_path, ELASTICSEARCH_URL=client.options().transport.node_pool.all()[0].base_url)
    told = {one["subject"]: one for one in map(json.loads, siemlite(env, "check", "--json").stdout.splitlines())}
    assert told[f"index {ALERTS}"]["verdict"] == "wrong"
    assert told[f"index {ALERTS}"]["text"].endswith(REMAKE)
    assert f"index {CONTROL}" not in told


def test_setup_mends_each_index_of_which_check_says_so_and_waits_for_no_dead_letters(
    client: Elasticsearch, tmp_path: Path
) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=client.options().transport.node_pool.all()[0].base_url)
    older = {"dynamic": False, "properties": {"event": {"properties": {"id": {"type": "keyword"}}}}}
    client.indices.create(index=LETTERS, mappings=older)
    assert lacking(client, LETTERS)
    assert siemlite(env, "setup").returncode == 0
    assert [name for name in (ALERTS, CONTROL, LETTERS) if lacking(client, name)] == []
    client.indices.delete(index=LETTERS)
    assert siemlite(env, "setup").returncode == 0
    assert lacking(client, LETTERS) == []
    assert client.indices.exists(index=LETTERS)
    client.indices.delete(index=LETTERS)
    client.indices.create(index=LETTERS, mappings={"properties": {"event": {"type": "keyword"}}})
    assert siemlite(env, "setup").returncode == 0
    assert lacking(client, LETTERS)
