"""The embedded node: quick, alone with its home's data, and never left behind."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pipeline.errors import ConfigurationError
from pipeline.node import StartInterruptedError, node_status, node_url, start_node
from pipeline.node.layout import find
from pipeline.node.orphans import data_in_use
from pipeline.node.runstate import held, read_state
from pipeline.settings import Settings, load_settings
from tests.command import environment, siemlite
from tests.node import QUICK, TestNode, processes_of, temporary_cluster
from tests.unit.node.processes import eventually, lives


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return the path of a home that is not there yet; whatever runs in it afterwards is ended."""
    path = tmp_path / "a home"
    yield path
    TestNode(path).remove()


def settings_for(home: Path) -> Settings:
    return load_settings(None, siemlite_home=home)


def test_the_server_listens_on_loopback_only_obeys_no_web_page_and_never_runs_as_root(mortal_node: TestNode) -> None:
    node, home = mortal_node, mortal_node.home
    assert httpx.post(f"{node.url}/_refresh", headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx.post(f"{node.url}/_refresh").status_code == 200
    told = httpx.get(node.url + "/_nodes/_local/http,transport").json()["nodes"]
    bound = [
        address for entry in told.values() for part in ("http", "transport") for address in entry[part]["bound_address"]
    ]
    assert len(bound) == 2
    assert all(address.startswith("127.0.0.1:") for address in bound)
    for pid in processes_of(home) - {int((read_state(find(home)) or {})["supervisor"])}:
        assert Path(f"/proc/{pid}").stat().st_uid != 0
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [entry for entry in environment if entry.startswith(b"PYTEST_CURRENT_TEST")]


def test_a_home_keeps_its_data_and_address_and_starts_of_it_share_one_node_that_only_its_owner_ends(
    mortal_node: TestNode,
) -> None:
    home, url, processes = mortal_node.home, mortal_node.url, processes_of(mortal_node.home)
    httpx.put(url + "/security-x/_doc/1", json={"a": 1}, timeout=30).raise_for_status()
    mortal_node.stop()
    assert not any(lives(pid) for pid in processes)
    assert node_status(home) is None
    assert node_url(home) is None

    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        start = lambda _: start_node(settings_for(home), options=QUICK, progress=said.append)  # noqa: E731
        nodes = list(pool.map(start, range(2)))
    assert nodes[0].url == nodes[1].url == url
    assert nodes[0].pid == nodes[1].pid
    assert httpx.get(url + "/security-x/_doc/1").json()["_source"] == {"a": 1}
    assert not [line for line in said if line.startswith(("downloading", "unpacking"))], "the first start did that"

    assert sorted(node.owned for node in nodes) == [False, True]
    guest, owner = sorted(nodes, key=lambda node: node.owned)
    guest.stop()
    assert node_status(home) == guest
    with pytest.raises(ConfigurationError, match=re.escape(f"runs already at {url}")):
        start_node(settings_for(home), port=1, progress=said.append)
    owner.stop()
    assert node_status(home) is None


def test_what_the_launcher_leaves_lies_in_the_homes_own_folder(mortal_node: TestNode) -> None:
    assert list(find(mortal_node.home).tmp.glob("final-flags*"))


def test_a_start_that_is_called_off_leaves_nothing(home: Path) -> None:
    stop = threading.Event()

    def call_off() -> None:
        eventually(lambda: read_state(find(home)) is not None)
        stop.set()

    meddler = threading.Thread(target=call_off)
    meddler.start()
    with pytest.raises(StartInterruptedError):
        start_node(settings_for(home), options=QUICK, progress=lambda _: None, stop=stop)
    meddler.join()
    assert node_url(home) is None
    assert eventually(lambda: not data_in_use(find(home)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_a_killed_supervisor_leaves_no_server_and_the_next_start_is_not_misled(mortal_node: TestNode) -> None:
    home = mortal_node.home
    processes = processes_of(home)
    state = read_state(find(home))
    assert state
    os.kill(int(state["supervisor"]), signal.SIGKILL)
    assert eventually(lambda: not held(find(home)))
    # At once, while the old server may still be closing; the stale state file names it.
    assert find(home).state.exists()
    mortal_node.start()
    assert not any(lives(pid) for pid in processes)
    assert node_status(home) is not None


def test_a_killed_server_can_be_started_again_with_its_data(mortal_node: TestNode) -> None:
    url = mortal_node.url
    httpx.put(url + "/security-x/_doc/1", json={"a": 1}, timeout=30).raise_for_status()
    mortal_node.kill()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url + "/_cluster/health")
    mortal_node.start()
    assert mortal_node.url == url
    assert httpx.get(url + "/security-x/_doc/1").json()["_source"] == {"a": 1}


def test_a_server_that_refuses_to_boot_says_why_in_one_line_and_leaves_nothing(home: Path) -> None:
    options = replace(QUICK, settings={"no.such.setting": 1})
    with pytest.raises(ConfigurationError) as caught:
        start_node(settings_for(home), options=options, progress=lambda _: None)
    assert "unknown setting [no.such.setting]" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert node_url(home) is None
    assert not find(home).state.exists()


def test_an_interrupted_start_leaves_nothing(home: Path) -> None:
    def interrupt() -> None:
        eventually(lambda: read_state(find(home)) is not None)
        os.kill(os.getpid(), signal.SIGINT)

    # A test runner's worker process may ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    meddler = threading.Thread(target=interrupt)
    meddler.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            start_node(settings_for(home), options=QUICK, progress=lambda _: None)
    finally:
        meddler.join()
        signal.signal(signal.SIGINT, before)
    assert node_url(home) is None
    assert eventually(lambda: not data_in_use(find(home)))


def test_a_node_started_by_command_runs_until_it_is_stopped_by_command(home: Path) -> None:
    alone = environment(home)
    assert siemlite(alone, "node", "status", "--json").returncode == 1
    started = siemlite(alone, "node", "start", "--json")
    assert started.returncode == 0, started.stderr
    told = json.loads(started.stdout)
    assert set(told) == {"url", "pid"}
    assert httpx.get(told["url"] + "/_cluster/health").json()["status"] == "green"
    assert lives(told["pid"])
    assert json.loads(siemlite(alone, "node", "start", "--json").stdout) == told
    status = siemlite(alone, "node", "status", "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout) == {"running": True, **told}
    other = siemlite(alone, "node", "start", "--port", "1")
    assert other.returncode == 2
    assert other.stderr.count("\n") == 1
    assert siemlite(alone, "node", "stop").returncode == 0
    assert not lives(told["pid"])
    assert siemlite(alone, "node", "status").returncode == 1


@pytest.mark.long
def test_three_nodes_form_a_cluster_that_survives_one(tmp_path: Path) -> None:
    with temporary_cluster(3) as nodes:
        body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1}}
        httpx.put(nodes[0].url + "/security-x", json=body, timeout=60).raise_for_status()
        whole = {"wait_for_nodes": "3", "wait_for_status": "green", "timeout": "60s"}
        httpx.get(nodes[0].url + "/_cluster/health", params=whole, timeout=70).raise_for_status()
        nodes[0].kill()
        survivor = nodes[1].url
        httpx.put(survivor + "/security-x/_doc/1", json={"a": 1}, timeout=60).raise_for_status()
        nodes[0].start()
        health = httpx.get(nodes[0].url + "/_cluster/health", params=whole, timeout=70)
        assert health.json()["number_of_nodes"] == 3
        assert httpx.get(nodes[0].url + "/security-x/_doc/1").json()["_source"] == {"a": 1}
