"""What the answer to `_bulk` says of each event."""

from typing import Any

import pytest

from pipeline.errors import RetryableError
from pipeline.shipping.bulk import Verdict, _verdicts, event_of, lines_of


def item(status: object, kind: str = "x", reason: str = "y") -> dict[str, Any]:
    return {"create": {"status": status, "error": {"type": kind, "reason": reason}}}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (item(201), Verdict.STORED),
        (item(409, "version_conflict_engine_exception"), Verdict.STORED),
        (item(429, "es_rejected_execution_exception"), Verdict.LATER),
        (item(503, "unavailable_shards_exception"), Verdict.LATER),
        (item(429, "cluster_block_exception"), Verdict.BLOCKED),
        (item(403, "cluster_block_exception"), Verdict.BLOCKED),
        (item(403, "security_exception"), Verdict.BLOCKED),
        (item(404, "index_not_found_exception"), Verdict.BLOCKED),
        (item(400, "validation_exception", "this action would add [2] shards"), Verdict.BLOCKED),
        (item(400, "document_parsing_exception"), Verdict.REFUSED),
        (item(400, "illegal_argument_exception"), Verdict.REFUSED),
        (item(400, "illegal_argument_exception", "pipeline with id [geoip] does not exist"), Verdict.BLOCKED),
        (
            item(400, "illegal_argument_exception", "no write index is defined for alias [security-logs-x]"),
            Verdict.BLOCKED,
        ),
        (item(None), Verdict.LATER),
        ({}, Verdict.LATER),
        ("?", Verdict.LATER),
    ],
)
def test_each_status_has_its_verdict(answer: object, verdict: Verdict) -> None:
    items = _verdicts({"errors": True, "items": [answer]}, 1)
    assert items is not None
    assert items[0].verdict is verdict


@pytest.mark.parametrize(
    "body",
    [None, [], "ok", {}, {"errors": False}, {"errors": 0, "items": []}, {"errors": False, "items": [item(201)]}],
)
def test_an_answer_that_is_not_understood_is_never_success(body: object) -> None:
    with pytest.raises(RetryableError):
        _verdicts(body, 2)


def test_lines_are_cut_apart_and_read_back() -> None:
    one = b'{"create":{"_index":"i","_id":"1"}}\n{"a":1}\n'
    two = b'{"create":{"_index":"j","_id":"2"}}\n{"b":2}\n'
    assert lines_of(one + two) == [one, two]
    assert event_of(two) == ("j", "2", {"b": 2})
