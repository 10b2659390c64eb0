"""A cluster whose operator allows little: what is written or asked in common then goes in parts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import TooLargeError, plain
from pipeline.elastic.compare_and_set import CONTROL_INDEX, Create, Outcome, read_many, write_many
from pipeline.elastic.search import Search, Searcher
from pipeline.errors import SiemliteError
from tests.node import QUICK, temporary_node


@pytest.fixture(scope="module")
def client() -> Iterator[Elasticsearch]:
    """Return a client of a server that takes requests of up to 64 KiB, and few searches at a time."""
    little: dict[str, str | int] = {"http.max_content_length": "64kb", "thread_pool.search.queue_size": 4}
    with temporary_node(options=replace(QUICK, settings=little)) as node:
        yield Elasticsearch(node.url, max_retries=0, request_timeout=60)


def test_documents_that_are_too_large_together_are_written_in_parts_in_their_order(client: Elasticsearch) -> None:
    writes = [Create(f"checkpoint:{number}", {"positions": "x" * 9_000, "number": number}) for number in range(46)]
    writes[7] = writes[6]
    results = write_many(client, CONTROL_INDEX, writes)
    assert [number for number, one in enumerate(results) if one.outcome is Outcome.CONFLICT] == [7]
    assert [one.outcome for one in results].count(Outcome.WRITTEN) == 45
    found = read_many(client, CONTROL_INDEX, [one.id for one in writes])
    assert {name: document.version for name, document in found.items()} == {
        write.id: one.version for write, one in zip(writes, results, strict=True) if one.version is not None
    }


def test_a_document_that_is_too_large_by_itself_says_which_limit_to_raise(client: Elasticsearch) -> None:
    with pytest.raises(TooLargeError, match=r"security-control-v1.* takes \(413\); raise that limit"):
        write_many(client, CONTROL_INDEX, [Create("large", {"text": "x" * 70_000})])


def test_searches_that_the_server_has_no_room_for_together_are_made_one_by_one(client: Elasticsearch) -> None:
    client.indices.create(index="many", settings={"number_of_shards": 40, "number_of_replicas": 0})
    buckets = {"by": {"terms": {"field": "_index"}}}
    searches = [Search.of(["many"], {"size": 0, "aggs": buckets, "from": number}) for number in range(60)]
    answers = Searcher(client).many(searches)
    assert [one for one in answers if isinstance(one, SiemliteError)] == []


def test_a_full_queue_is_told_of_by_its_name_and_size() -> None:
    pool = "[Running, pool size = 2, active threads = 2, queued tasks = 2, completed tasks = 2]"
    told = (
        "429 rejected execution of TimedRunnable{original=org.x$1{y@48aa7fe}, failedOrRejected=false} on "
        f"TaskExecutor[name = node-1/write, queue capacity = 2, total task execution time = 2.9s, org.x.Pool@79{pool}]"
    )
    assert plain(told) == "429 the queue of node-1/write, which holds 2, is full"
