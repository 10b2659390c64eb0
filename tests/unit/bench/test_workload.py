"""The events of the benchmark are the same for all, and their secrets are found again."""

import itertools
from pathlib import Path
from statistics import fmean

import orjson
import pytest

from bench.workload import INDEX, LEAK, Workload, events, trace_id, write

COUNT = 2_000


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    made = Workload(tmp_path_factory.mktemp("workload"), COUNT, seed=3)
    write(made)
    return made


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_the_same_seed_gives_the_same_events_and_another_gives_others() -> None:
    assert list(events(50, 1)) == list(events(50, 1))
    assert list(events(50, 1)) != list(events(50, 2))


def test_events_have_about_five_hundred_bytes(workload: Workload) -> None:
    assert 450 < fmean(len(line) for line in lines(workload.raw)) < 550


def test_every_event_is_found_by_its_number(workload: Workload) -> None:
    traces = [orjson.loads(line)["traceId"] for line in lines(workload.raw)]
    assert traces == [trace_id(3, number) for number in range(COUNT)] == list(workload.trace_ids())
    assert len(set(traces)) == COUNT


def test_every_event_carries_secrets_at_two_depths_and_one_in_twenty_a_spoken_one(workload: Workload) -> None:
    raw = [orjson.loads(line) for line in lines(workload.raw)]
    bodies = [event.get("context", event)["body"] for event in raw]
    assert all(len(LEAK.findall(orjson.dumps(body))) == 2 for body in bodies)
    spoken = sum(LEAK.search(event["message"].encode()) is not None for event in raw)
    assert 0.03 < spoken / COUNT < 0.07


def test_peers_read_every_event_with_its_secrets_and_the_ceiling_sends_every_event_without(workload: Workload) -> None:
    documents = lines(workload.documents)
    requests = lines(workload.requests)
    assert len(documents) == COUNT
    assert all(LEAK.search(document) for document in documents)
    assert not any(LEAK.search(line) for line in requests)
    actions, bodies = requests[::2], requests[1::2]
    assert {orjson.loads(action)["create"]["_index"] for action in actions} == {INDEX}
    for action, body, document in zip(actions, bodies, documents, strict=True):
        sent, read = orjson.loads(body), orjson.loads(document)
        assert orjson.loads(action)["create"]["_id"] == sent["event"]["id"] == read["event"]["id"]
        assert list(leaves(sent)) == list(leaves(read))


def leaves(tree: object, path: str = "") -> itertools.chain[str]:
    """Return the paths of all values."""
    if isinstance(tree, dict):
        return itertools.chain.from_iterable(leaves(value, f"{path}.{key}") for key, value in tree.items())
    return itertools.chain((path,))
