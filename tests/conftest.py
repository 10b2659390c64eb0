"""What all tests share: an environment without the user's own settings, and a real Elasticsearch.

The server is started for the run, and wiped before each test that asks for it.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.node import TestNode

_SETTINGS = ("SIEMLITE_", "ELASTICSEARCH_", "ES_", "SLACK_", "PAGERDUTY_")
_TERMINAL = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "GITHUB_ACTIONS")
_WHERE_THE_SERVER_COMES_FROM = ("SIEMLITE_CACHE", "ES_JAVA_HOME")
_HERE = "localhost,127.0.0.1,::1"


def pytest_sessionstart() -> None:
    """Take out of the environment what would change an answer: it is the same whoever runs the tests, and where.

    A proxy stays, for downloads, and is not asked for what runs on this machine.
    """
    for name in [*os.environ]:
        if name.startswith((*_SETTINGS, *_TERMINAL)) and name not in _WHERE_THE_SERVER_COMES_FROM:
            del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), _HERE)))


def pytest_sessionfinish() -> None:
    """Leave no connection to a server open."""
    _http.close()


@pytest.fixture(scope="session")
def own_node() -> Iterator["TestNode"]:
    """Return a node that lives as long as the test run."""
    from tests.node import temporary_node

    with temporary_node() as node:
        yield node


@pytest.fixture(scope="session")
def es_server(request: pytest.FixtureRequest) -> str:
    """Return the address of an Elasticsearch that lives as long as the test run.

    `TEST_ELASTICSEARCH_URL` names one that runs already; everything in it named `security-*` is deleted.
    """
    given = os.environ.get("TEST_ELASTICSEARCH_URL")
    if given:
        return given
    node: TestNode = request.getfixturevalue("own_node")
    return node.url


@pytest.fixture
def mortal_node(own_node: "TestNode") -> Iterator["TestNode"]:
    """Return a node that holds nothing of siemlite's and may be killed or stopped: it runs again afterwards."""
    from tests.node import is_running

    wipe(own_node.url)
    yield own_node
    if not is_running(own_node):
        own_node.start()


@pytest.fixture
def es_url(es_server: str) -> str:
    """Return the address of an Elasticsearch that holds nothing of siemlite's."""
    wipe(es_server)
    return es_server


@pytest.fixture
def es_ready(es_server: str) -> str:
    """Return the address of an Elasticsearch that holds siemlite's index templates, and nothing else of its."""
    from pipeline.elastic.client import connect
    from pipeline.elastic.templates import install
    from pipeline.settings import Settings

    if es_server not in _ready or _templates(es_server) != _ready[es_server]:
        wipe(es_server)
        with connect(Settings(_env_file=None), es_server) as client:
            install(client)
        _ready[es_server] = _templates(es_server)
    else:
        _delete_indices(es_server)
    return es_server


_ready: dict[str, tuple[bytes, ...]] = {}
"""The templates of each server, as it showed them once they were installed: to install them takes it a third of a
second, and twice that in its first minute."""

_TEMPLATES = ("/_index_template/security-*", "/_component_template/security-*")
_http = httpx.Client(timeout=60)


def _templates(url: str) -> tuple[bytes, ...]:
    return tuple(_http.get(url + path).content for path in _TEMPLATES)


def wipe(url: str) -> None:
    """Delete every index and template of siemlite's."""
    _delete_indices(url)
    for path in _TEMPLATES:
        _http.delete(url + path)


def _delete_indices(url: str) -> None:
    from pipeline.elastic.search import by_url

    rows = _http.get(f"{url}/_cat/indices/security-*?format=json&expand_wildcards=all").json()
    for some in by_url([row["index"] for row in rows]):
        _http.delete(f"{url}/{','.join(some)}").raise_for_status()
