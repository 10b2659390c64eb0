"""A cluster whose operator allows little: what is written in common then goes in parts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import TooLargeError
from pipeline.elastic.compare_and_set import CONTROL_INDEX, Create, Outcome, read_many, write_many
from tests.node import QUICK, temporary_node


@pytest.fixture(scope="module")
def client() -> Iterator[Elasticsearch]:
    """Return a client of a server that takes requests of up to 64 KiB."""
    with temporary_node(options=replace(QUICK, settings={"http.max_content_length": "64kb"})) as node:
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
