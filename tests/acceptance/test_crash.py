"""Whatever is killed, and whenever: what was durable is in Elasticsearch exactly once, and nothing else is.

Each run prints its seed; `CRASH_SEED=N` runs with that one again. The long forms are run by `make crash-test`.
"""

import os
import random
import secrets
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import connect
from pipeline.elastic.templates import install
from pipeline.settings import Settings
from tests.acceptance.crash import truth, worlds
from tests.acceptance.crash.child import SMALL
from tests.acceptance.crash.failpoints import APPENDING, SENDING, STARTING, TIDYING
from tests.acceptance.crash.nursery import Nursery
from tests.node import temporary_node
from tests.proxy import (
    DROP_ANSWER,
    DROP_REQUEST,
    GARBAGE,
    HALF_ANSWER,
    NOTHING,
    RESET_AFTER,
    Fault,
    Kind,
    fault_proxy,
)


def kills(short: int, long: int) -> pytest.MarkDecorator:
    """Run a test in two forms, until so many processes were killed."""
    forms = [pytest.param(short, id="short"), pytest.param(long, id="long", marks=pytest.mark.long)]
    return pytest.mark.parametrize("kills", forms)


@pytest.fixture
def seed(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> int:
    chosen = int(os.environ.get("CRASH_SEED") or secrets.randbits(32))
    with capsys.disabled():
        print(f"\n{request.node.name}: CRASH_SEED={chosen}", flush=True)
    return chosen


@pytest.fixture
def client(es_ready: str) -> Elasticsearch:
    return connect(Settings(_env_file=None), es_ready)


@pytest.fixture
def nursery(
    es_ready: str, tmp_path: Path, seed: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Iterator[Nursery]:
    made = Nursery(
        tmp_path,
        {"ELASTICSEARCH_URL": es_ready, "SIEMLITE_HOME": str(tmp_path / "home")},
        random.Random(seed),
        SMALL,
    )
    began = time.monotonic()
    yield made
    with capsys.disabled():
        print(f"{request.node.name}: {made.kills} SIGKILLs in {time.monotonic() - began:.0f} s", flush=True)


@pytest.fixture
def home(nursery: Nursery) -> Path:
    return nursery.folder / "home"


def now_ms() -> int:
    return int(time.time() * 1000)


@kills(short=12, long=500)
def test_a_file_is_stored_exactly_once_however_often_its_shipper_is_killed(
    nursery: Nursery, client: Elasticsearch, home: Path, tmp_path: Path, kills: int
) -> None:
    expected: dict[str, int] = {}
    for turn in count():
        path = tmp_path / f"events-{turn}.jsonl"
        worlds.write_file(path, range(turn * 1000, turn * 1000 + nursery.rng.randint(300, 900)), now_ms())
        worlds.ship_file(nursery, path)
        expected |= truth.of_file(path, home)
        if nursery.kills >= kills:
            break
    truth.same(expected, truth.found(client))
    assert truth.of_spools(home) == {}


@kills(short=10, long=300)
def test_what_an_application_was_told_is_durable_is_stored_exactly_once(
    nursery: Nursery, client: Elasticsearch, home: Path, tmp_path: Path, kills: int
) -> None:
    journal = tmp_path / "journal"
    durable: dict[str, int] = {}
    turn = 0
    while nursery.kills < kills:
        for _ in range(4):
            turn += 1
            worlds.write_through_kills(nursery, "shop", turn * 1_000_000, journal, forks=turn % 4 == 0)
        tried, kept = worlds.journalled(journal)
        lying = truth.of_spools(home)
        assert kept <= set(durable.values()) | set(lying.values())
        assert set(lying.values()) <= tried
        durable |= lying
        worlds.ship_spools(nursery, home)
    truth.same(durable, truth.found(client))
    assert sorted(path.name for path in (home / "spool").iterdir()) == ["reserve"]


@kills(short=10, long=150)
def test_events_are_stored_exactly_once_while_writers_and_senders_are_killed_side_by_side(
    nursery: Nursery, client: Elasticsearch, home: Path, tmp_path: Path, kills: int
) -> None:
    journal = tmp_path / "journal"
    turn = 0
    while nursery.kills < kills:
        sender = nursery.command("ship", plan=worlds.one_of(nursery.rng, (*SENDING, *TIDYING), 30))
        while not sender.ended and nursery.kills < kills:
            turn += 1
            worlds.write_through_kills(nursery, "shop", turn * 1_000_000, journal, forks=turn % 4 == 0)
        nursery.let_die(sender, 0)
    worlds.ship_spools(nursery, home)
    tried, kept = worlds.journalled(journal)
    stored = set(truth.found(client).values())
    assert kept <= stored
    assert stored <= tried


@kills(short=8, long=200)
def test_a_followed_log_is_stored_exactly_once_through_rotations_and_kills(
    nursery: Nursery, client: Elasticsearch, tmp_path: Path, kills: int
) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    log = worlds.RotatedLog(folder, nursery.rng, count(1), now_ms())
    worlds.follow(nursery, log, kills, client)
    log.close()
    truth.same_numbers(log.written, truth.found(client))


FAULTS = (
    *(DROP_REQUEST, DROP_ANSWER, RESET_AFTER, HALF_ANSWER, GARBAGE, Fault(Kind.DELAY, seconds=0.2)),
    *(Fault(Kind.STATUS, status) for status in (401, 403, 408, 413, 429, 500, 502, 503, 504)),
    *(Fault(Kind.SOME, status) for status in (429, 503)),
)


@kills(short=5, long=150)
def test_a_file_is_stored_exactly_once_through_a_network_that_fails_and_kills(
    nursery: Nursery, client: Elasticsearch, home: Path, tmp_path: Path, kills: int
) -> None:
    expected: dict[str, int] = {}
    with fault_proxy(nursery.settings["ELASTICSEARCH_URL"]) as proxy:
        proxy.choose = lambda: nursery.rng.choice(FAULTS) if nursery.rng.random() < 0.4 else NOTHING
        nursery.settings = {**nursery.settings, "ELASTICSEARCH_URL": proxy.url}
        for turn in count():
            path = tmp_path / f"events-{turn}.jsonl"
            worlds.write_file(path, range(turn * 1000, turn * 1000 + nursery.rng.randint(100, 300)), now_ms())
            worlds.ship_file(nursery, path)
            expected |= truth.of_file(path, home)
            if nursery.kills >= kills:
                break
    truth.same(expected, truth.found(client))
    assert truth.of_spools(home) == {}


@kills(short=5, long=100)
def test_a_clock_that_jumps_loses_and_doubles_nothing(
    nursery: Nursery, client: Elasticsearch, home: Path, tmp_path: Path, kills: int
) -> None:
    nursery.clock_jumps_ms = 60 * 3_600_000
    journal = tmp_path / "journal"
    expected: dict[str, int] = {}
    for turn in count(1):
        path = tmp_path / f"events-{turn}.jsonl"
        worlds.write_file(path, range(turn * 1000, turn * 1000 + nursery.rng.randint(100, 300)), now_ms())
        worlds.ship_file(nursery, path)
        expected |= truth.of_file(path, home)
        worlds.write_through_kills(nursery, "shop", turn * 1_000_000, journal, forks=False)
        expected |= truth.of_spools(home)
        worlds.ship_spools(nursery, home)
        if nursery.kills >= kills:
            break
    truth.same(expected, truth.found(client))
    assert worlds.journalled(journal)[1] <= set(expected.values())


@pytest.mark.long
def test_events_are_stored_exactly_once_while_elasticsearch_itself_is_killed(
    nursery: Nursery, home: Path, tmp_path: Path
) -> None:
    expected: dict[str, int] = {}
    with temporary_node() as node:
        nursery.settings = {**nursery.settings, "ELASTICSEARCH_URL": node.url}
        client = connect(Settings(_env_file=None), node.url)
        install(client)
        for turn in range(12):
            path = tmp_path / f"events-{turn}.jsonl"
            worlds.write_file(path, range(turn * 10_000, turn * 10_000 + 4_000), now_ms())
            run = nursery.command("ship", str(path))
            time.sleep(nursery.rng.uniform(0.1, 1.5))
            node.kill()
            if nursery.rng.random() < 0.5:
                nursery.let_die(run, 0)
            node.start()
            if run.ended:
                run = nursery.command("ship", str(path))
            assert run.wait() == 0, run.output()[-2000:]
            expected |= truth.of_file(path, home)
        truth.same(expected, truth.found(client))
        assert truth.of_spools(home) == {}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", [*APPENDING, *SENDING, *TIDYING[:2], *STARTING])
def test_a_shipper_of_a_file_comes_by_each_place_where_it_is_to_be_killed(
    nursery: Nursery, tmp_path: Path, name: str
) -> None:
    worlds.write_file(tmp_path / "events.jsonl", range(50), now_ms())
    assert nursery.let_die(nursery.command("ship", str(tmp_path / "events.jsonl"), plan={name: 1}), None)


@pytest.mark.usefixtures("client")
def test_a_sender_is_killed_in_the_middle_of_removing_a_spool(nursery: Nursery, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    application = nursery.application("shop", 0, journal, forks=False)
    worlds.until(lambda: journal.exists() and "kept" in journal.read_text(), application, "an event is durable")
    application.kill()
    assert nursery.let_die(nursery.command("ship", plan={TIDYING[2]: 1}), None)
