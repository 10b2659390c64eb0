"""The shipper against a real Elasticsearch, with the faults that networks and servers have."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from pipeline.app.shipping import encoder_of
from pipeline.clock import SystemClock
from pipeline.elastic.client import TooLargeError, connect
from pipeline.elastic.templates import install
from pipeline.errors import RetryableError
from pipeline.events.encoded import INGESTED, Encoded
from pipeline.settings import Settings, load_settings
from pipeline.shipping import bulk
from pipeline.shipping.backoff import Backoff
from pipeline.shipping.gate import BELIEVED_SECONDS, Gate
from pipeline.shipping.home import load_keys
from pipeline.shipping.intake import Intake
from pipeline.shipping.letters import INDEX as LETTERS
from pipeline.shipping.letters import DeadLetters, local_letters
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spool import Chunk, Spool, Spooled
from pipeline.sources.files import FileSource
from pipeline.sources.formats.format import format_factory
from tests.conftest import wipe
from tests.proxy import (
    DROP_ANSWER,
    DROP_REQUEST,
    GARBAGE,
    HALF_ANSWER,
    RESET_AFTER,
    Fault,
    FaultProxy,
    Kind,
    fault_proxy,
)
from tests.unit.sources.clocks import StillClock

INDEX = "security-logs-2026.11.24"
WAIT_SECONDS = 60.0


def event(number: int, **fields: Any) -> bytes:
    name = f"id-{number:06d}"
    document = {"@timestamp": "2026-11-24T01:00:00.000Z", "event": {"id": name, "code": "X"}, **fields}
    return Encoded(INDEX, name, "info", INGESTED + orjson.dumps(document)[1:]).lines()


def chunk(*numbers: int, **fields: Any) -> Chunk:
    return Chunk(b"".join(event(number, **fields) for number in numbers), len(numbers))


class Harness:
    """A spool, a shipper and what was said."""

    def __init__(self, url: str, folder: Path) -> None:
        self.client = connect(Settings(_env_file=None), url)
        self.said: list[str] = []
        self.folder = folder
        self.spool = Spool(folder / "test.db", max_bytes=10**9)
        self.letters = DeadLetters(self.client, folder)
        self.shipper = Shipper(
            self.client, self.letters, SystemClock(), notify=self.said.append, backoff=Backoff(0.01, 0.05, 0.01)
        )
        self.shipper.add(self.spool)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s; said: {self.said}"
            time.sleep(0.01)

    def ids(self) -> list[str]:
        return found_ids(self.client)


def found_ids(client: Elasticsearch, index: str = "security-logs-*") -> list[str]:
    client.indices.refresh(index=index)
    answer = client.search(index=index, size=10_000, source=False)
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


def names(*numbers: int) -> list[str]:
    return [f"id-{number:06d}" for number in numbers]


@pytest.fixture
def proxy(es_ready: str) -> Iterator[FaultProxy]:
    with fault_proxy(es_ready) as running:
        yield running


@pytest.fixture
def harness(es_ready: str, proxy: FaultProxy, tmp_path: Path) -> Iterator[Harness]:
    built = Harness(proxy.url, tmp_path)
    yield built
    built.shipper.stop(5)


@pytest.mark.parametrize(
    "fault",
    [
        DROP_REQUEST,
        DROP_ANSWER,
        RESET_AFTER,
        HALF_ANSWER,
        GARBAGE,
        Fault(Kind.DELAY, seconds=0.3),
        *(Fault(Kind.STATUS, status) for status in (408, 429, 500, 502, 503, 504, 401, 403)),
    ],
    ids=lambda fault: f"{fault.kind.name}{fault.status or ''}",
)
def test_after_a_failed_request_every_event_is_there_exactly_once(
    harness: Harness, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.plan.extend([fault, fault])
    harness.spool.append([chunk(1, 2, 3)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1, 2, 3)
    assert len(proxy.requests) >= (1 if fault.kind is Kind.DELAY else 3)
    if fault.kind is not Kind.DELAY:
        assert [line.split(":")[0] for line in harness.said] == ["waiting", "going on"]


def test_a_request_that_is_too_large_is_split(harness: Harness, proxy: FaultProxy) -> None:
    proxy.plan.extend([Fault(Kind.STATUS, 413)] * 2)
    harness.spool.append([chunk(*range(8))], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(*range(8))


@pytest.mark.parametrize("status", [429, 503])
def test_events_that_must_wait_are_sent_again_and_their_neighbours_are_not(
    harness: Harness, proxy: FaultProxy, status: int
) -> None:
    proxy.plan.extend([Fault(Kind.SOME, status)] * 2)
    harness.spool.append([chunk(*range(8))], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(*range(8))
    assert len(proxy.requests) == 3
    assert (harness.shipper.shipped().stored, harness.shipper.shipped().refused) == (8, 0)
    assert harness.said[0].startswith(f"waiting: {status} by_order")


def test_one_event_that_is_too_large_is_a_letter_and_a_skeleton(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(client: Elasticsearch, body: bytes, events: int) -> object:
        if len(body) > 10_000:
            raise TooLargeError("too large (413)")
        return bulk.send(client, body, events)

    monkeypatch.setattr("pipeline.shipping.shipper.send", send)
    harness.spool.append([Chunk(event(1) + event(2, message="x" * 20_000) + event(3), 3)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1, 2, 3)
    harness.client.indices.refresh(index=LETTERS)
    letter = harness.client.get(index=LETTERS, id="id-000002")["_source"]
    assert "x" * 20_000 in letter["siemlite"]["letter"]["document"]
    assert "skeleton" in harness.client.get(index=INDEX, id="id-000002")["_source"]["siemlite"]


def test_after_a_failure_one_request_is_under_way_until_it_succeeds_and_then_more(
    harness: Harness, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.shipping.shipper.REQUEST_BYTES", 1)
    harness.shipper._request_bytes = 1
    under_way: list[int] = []
    active = sent = 0
    counting = threading.Lock()

    def send(client: Elasticsearch, body: bytes, events: int) -> object:
        nonlocal active, sent
        with counting:
            active += 1
            sent += 1
            under_way.append(active)
            if sent == 10:  # here, or all might be sent before the test's own thread looks
                proxy.choose = lambda: Fault(Kind.STATUS, 503)
        try:
            time.sleep(0.02)
            return bulk.send(client, body, events)
        finally:
            with counting:
                active -= 1

    monkeypatch.setattr("pipeline.shipping.shipper.send", send)
    harness.spool.append([chunk(number) for number in range(60)], {}, 1)
    harness.shipper.start()
    harness.until(lambda: len(under_way) >= 10)
    assert max(under_way) == 2
    harness.until(lambda: harness.shipper.shipped().retries >= 6)
    with counting:
        under_way.clear()
    harness.until(lambda: len(under_way) >= 3)
    assert max(under_way) == 1
    proxy.choose = None
    harness.until(harness.shipper.drained)
    assert max(under_way) == 2
    assert harness.ids() == names(*range(60))


def test_file_space_is_given_back_once_a_backlog_was_sent(harness: Harness) -> None:
    harness.spool.append([chunk(number, message=f"{number}" + "x" * 90_000) for number in range(300)], {}, 1)
    full = sum(path.stat().st_size for path in harness.folder.glob("test.db*"))
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    harness.until(lambda: sum(path.stat().st_size for path in harness.folder.glob("test.db*")) < full / 3)


def test_a_file_waits_while_the_spool_is_full_and_nothing_of_it_is_lost(
    harness: Harness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "small.db", max_bytes=1_500_000)
    settings = load_settings(None, siemlite_home=tmp_path / "home")
    intake = Intake(spool, encoder_of(settings, load_keys(tmp_path / "keys")), SystemClock(), live=True)
    source = tmp_path / "events.jsonl"
    source.write_text("".join(f'{{"event": "X", "context": {{"n": {number}}}}}\n' for number in range(20_000)))
    batches = FileSource([source], format_factory("json"), b"k" * 32, {}, threading.Event()).batches()
    reader = threading.Thread(target=intake.drain, args=(batches, threading.Event()))
    reader.start()
    harness.until(lambda: "SIEMLITE_SPOOL_MAX_BYTES" in caplog.text)
    assert reader.is_alive(), "it waits"
    assert [record.message for record in caplog.records if "SIEMLITE_SPOOL_MAX_BYTES" in record.message] == [
        "reading waits: spool small.db is full (" + str(spool.depth().bytes) + " bytes; SIEMLITE_SPOOL_MAX_BYTES)"
    ]
    assert 0 < spool.depth().events < 20_000
    assert spool.depth().bytes <= 1_500_000
    harness.shipper.add(spool)
    harness.shipper.start()
    reader.join(WAIT_SECONDS)
    harness.until(harness.shipper.drained)
    harness.client.indices.refresh(index="security-logs-*")
    assert harness.client.count(index="security-logs-*")["count"] == 20_000


def test_a_refused_event_is_a_letter_and_a_skeleton_and_its_neighbours_go_on(harness: Harness) -> None:
    harness.spool.append([Chunk(event(1) + event(2, source={"address": {"not": "a word"}}) + event(3), 3)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1, 2, 3)
    harness.client.indices.refresh(index=LETTERS)
    letter = harness.client.get(index=LETTERS, id="id-000002")["_source"]
    assert orjson.loads(letter["siemlite"]["letter"]["document"])["source"] == {"address": {"not": "a word"}}
    assert "document_parsing_exception" in letter["error"]["message"]
    remains = harness.client.get(index=INDEX, id="id-000002")["_source"]
    assert remains["event"] == {"id": "id-000002", "kind": "event", "code": "X"}
    assert "skeleton" in remains["siemlite"]


def test_a_letter_goes_to_a_local_file_where_its_index_refuses_it(harness: Harness) -> None:
    harness.client.indices.create(index=LETTERS)
    harness.client.indices.put_settings(index=LETTERS, settings={"index.blocks.write": True})
    harness.spool.append([chunk(1, source={"address": {"x": 1}})], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1)
    assert [letter["id"] for letter in local_letters(harness.folder)] == names(1)


def test_a_blocked_index_holds_up_its_own_events_alone_and_loses_none(harness: Harness) -> None:
    harness.client.indices.create(index=INDEX)
    harness.client.indices.put_settings(index=INDEX, settings={"index.blocks.write": True})
    other = event(2).replace(b"2026.11.24", b"2026.11.25")
    harness.spool.append([Chunk(event(1) + other, 2)], {}, 1)
    harness.shipper.start()
    harness.until(lambda: harness.ids() == names(2))
    assert harness.spool.depth().events == 1
    assert "cluster_block_exception" in harness.said[0]
    harness.client.indices.put_settings(index=INDEX, settings={"index.blocks.write": False})
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1, 2)


def test_nothing_is_sent_before_the_index_template_exists(es_url: str, tmp_path: Path) -> None:
    built = Harness(es_url, tmp_path)
    built.spool.append([chunk(1)], {}, 1)
    built.shipper.start()
    built.until(lambda: bool(built.said))
    assert "siemlite setup" in built.said[0]
    assert built.spool.depth().events == 1
    assert not built.client.indices.exists(index=INDEX)
    install(built.client)
    built.until(built.shipper.drained)
    built.shipper.stop(5)
    assert built.ids() == names(1)


def test_an_emptied_cluster_gets_nothing_before_its_templates_are_there_again(es_url: str, tmp_path: Path) -> None:
    with fault_proxy(es_url) as proxy:
        built = Harness(proxy.url, tmp_path)
        install(built.client)
        built.shipper.start()
        built.spool.append([chunk(1)], {}, 1)
        built.until(built.shipper.drained)
        proxy.plan.append(Fault(Kind.STATUS, 503))  # As long as another node takes the place of the first.
        wipe(es_url)
        built.spool.append([chunk(2)], {}, 1)
        built.until(lambda: any("siemlite setup" in line for line in built.said))
        assert not built.client.indices.exists(index=INDEX)
        install(built.client)
        built.until(built.shipper.drained)
        built.shipper.stop(5)
        assert built.ids() == names(2)


def test_the_template_is_looked_for_now_and_then_though_all_goes_well(es_url: str) -> None:
    client = connect(Settings(_env_file=None), es_url)
    install(client)
    clock = StillClock()
    gate = Gate(client, clock, print)
    gate.pass_through()
    wipe(es_url)
    gate.pass_through()
    clock.move(BELIEVED_SECONDS)
    with pytest.raises(RetryableError, match="siemlite setup"):
        gate.pass_through()


class Stumbling(Spool):
    """A spool whose first `left` settlements fail, as on a disk or a database that is in trouble."""

    left = 2

    def settle(self, settled: Sequence[Spooled], remainder: Sequence[Chunk] = (), *, refused: int = 0) -> list[int]:
        if self.left:
            self.left -= 1
            raise RetryableError("database is locked")
        return super().settle(settled, remainder, refused=refused)


def test_what_could_not_be_settled_is_sent_again_until_it_is(harness: Harness, tmp_path: Path) -> None:
    spool = Stumbling(tmp_path / "stumbling.db", max_bytes=10**9)
    spool.append([chunk(1, 2), Chunk(event(3) + event(4, source={"address": {"not": "a word"}}), 2)], {}, 1)
    harness.shipper.add(spool)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert spool.left == 0
    assert harness.ids() == names(1, 2, 3, 4)
    assert [line.split(":")[0] for line in harness.said] == ["waiting", "going on"]


def test_many_small_chunks_that_failed_together_are_sent_again_together(harness: Harness, proxy: FaultProxy) -> None:
    proxy.plan.extend([Fault(Kind.STATUS, 503)] * 2)
    harness.spool.append([chunk(number) for number in range(500)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(*range(500))
    assert harness.shipper.shipped().requests < 10


def test_sending_the_same_again_adds_nothing_and_is_success(harness: Harness) -> None:
    harness.spool.append([chunk(1, 2), chunk(1, 2)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(1, 2)


def test_the_time_of_sending_is_stamped_on_every_event(harness: Harness) -> None:
    before = SystemClock().now_ms()
    harness.spool.append([chunk(1, 2)], {}, 1)
    harness.shipper.start()
    harness.until(harness.shipper.drained)
    harness.client.indices.refresh(index=INDEX)
    found = harness.client.search(
        index=INDEX, query={"range": {"event.ingested": {"gte": before, "lte": SystemClock().now_ms()}}}
    )
    assert found["hits"]["total"]["value"] == 2


def test_events_of_many_spools_and_many_chunks_all_arrive(harness: Harness, tmp_path: Path) -> None:
    others = [Spool(tmp_path / f"other-{n}.db", max_bytes=10**9) for n in range(5)]
    for at, spool in enumerate(others):
        harness.shipper.add(spool)
        spool.append([chunk(at * 100 + n) for n in range(50)], {}, 1)
    harness.shipper.start()
    writers = [
        threading.Thread(target=lambda s=spool, b=at: [s.append([chunk(b * 100 + 50 + n)], {}, 1) for n in range(50)])
        for at, spool in enumerate(others)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    harness.until(harness.shipper.drained)
    assert harness.ids() == names(*range(500))


def test_a_damaged_spool_keeps_no_other_from_being_sent(harness: Harness, tmp_path: Path) -> None:
    spools = [Spool(tmp_path / f"{name}.db", max_bytes=10**9) for name in "ab"]
    for number, spool in enumerate(spools):
        spool.append([chunk(number)], {}, 1)
        harness.shipper.add(spool)
    spools[0].close()  # As good as one whose file lies on a bad part of the disk: every reading raises.
    harness.shipper.start()
    harness.until(lambda: spools[1].depth().events == 0 and any("a.db" in line for line in harness.said))
    assert harness.ids() == names(1)
    assert len([line for line in harness.said if "a.db cannot be sent from" in line]) == 1
