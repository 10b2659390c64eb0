"""What all tests share: a real Elasticsearch, started for the run, wiped before each test that asks for it."""

import os
from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="session")
def es_server() -> Iterator[str]:
    """Return the address of an Elasticsearch that lives as long as the test run.

    `TEST_ELASTICSEARCH_URL` names one that runs already; everything in it named `security-*` is deleted.
    """
    given = os.environ.get("TEST_ELASTICSEARCH_URL")
    if given:
        yield given
        return
    from tests.node import temporary_node

    with temporary_node() as node:
        yield node.url


@pytest.fixture
def es_url(es_server: str) -> str:
    """Return the address of an Elasticsearch that holds nothing of siemlite's."""
    wipe(es_server)
    return es_server


def wipe(url: str) -> None:
    """Delete every index and template of siemlite's."""
    with httpx.Client(base_url=url, timeout=60) as http:
        names = [row["index"] for row in http.get("/_cat/indices/security-*?format=json&expand_wildcards=all").json()]
        for start in range(0, len(names), 50):
            http.delete("/" + ",".join(names[start : start + 50])).raise_for_status()
        http.delete("/_index_template/security-*")
        http.delete("/_component_template/security-*")
