"""An answer about the event indices that leaves something out never passes for one about fewer of them."""

from collections import deque
from typing import Any, cast

import pytest
from elastic_transport import ApiResponse
from elasticsearch import Elasticsearch

from pipeline.engine.checkpoint import Checkpoint, Position, ShardId
from pipeline.engine.indices import DAY_MS, look
from pipeline.engine.plan import plan
from pipeline.errors import RetryableError

DAY = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NAME = "security-logs-2026.01.01"
WHOLE: dict[str, Any] = {"_shards": {"failed": 0}}
WELL: dict[str, Any] = {"timed_out": False}
SHARD = {"routing": {"primary": True}, "seq_no": {"global_checkpoint": 7}}
TOLD: dict[str, Any] = {"indices": {NAME: {"uuid": "u", "shards": {"0": [SHARD]}}}}
HEALTHY: dict[str, Any] = {"indices": {NAME: {"number_of_shards": 1, "active_primary_shards": 1}}}


class Answers:
    """Gives the answers of `_stats` and of the health in turn, the last of each for ever."""

    def __init__(self, stats: list[dict[str, Any]], health: list[dict[str, Any]]) -> None:
        self._stats = deque(stats)
        self._health = deque(health)

    def perform_request(self, _method: str, target: str, **_: Any) -> ApiResponse[Any]:
        """See `Elasticsearch.perform_request`."""
        answers = self._stats if "_stats" in target else self._health
        body = answers[0] if len(answers) == 1 else answers.popleft()
        return ApiResponse(meta=cast("Any", None), body=body)


def client(stats: list[dict[str, Any]], health: list[dict[str, Any]]) -> Elasticsearch:
    return cast("Elasticsearch", Answers(stats, health))


@pytest.mark.parametrize(
    ("stats", "health"),
    [
        ({}, WELL | HEALTHY),
        ({}, WELL),
        (TOLD, WELL | HEALTHY),
        ({"_shards": {"failed": 1}}, WELL | HEALTHY),
        ({"_shards": {"failed": 1}} | TOLD, WELL | HEALTHY),
        (WHOLE | TOLD, {}),
        (WHOLE | TOLD, {"timed_out": True} | HEALTHY),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(stats: dict[str, Any], health: dict[str, Any]) -> None:
    with pytest.raises(RetryableError, match="reading the positions of the event indices"):
        look(client([stats], [health]))


def test_that_there_are_no_indices_is_believed_of_a_whole_answer() -> None:
    assert look(client([WHOLE], [WELL])).all == ()


def test_an_index_that_one_of_the_answers_leaves_out_is_missing_and_keeps_its_position() -> None:
    whole = look(client([WHOLE | TOLD], [WELL | HEALTHY]))
    assert (whole.missing, len(whole.all)) == ((), 1)
    without = look(client([WHOLE], [WELL | HEALTHY]))
    assert without.trouble(DAY, DAY) == f"{NAME} is not told of as a whole"
    assert not without.trouble(DAY + DAY_MS, DAY + DAY_MS)
    since = Checkpoint({ShardId("u", 0): Position(7)}, caught_up_ms=DAY)
    assert plan(since, without, DAY, DAY_MS, 100).positions == since.positions
    assert look(client([WHOLE | TOLD], [WELL])).trouble(DAY, DAY)


def test_an_index_that_was_made_between_the_two_answers_is_looked_at_again() -> None:
    new = look(client([WHOLE, WHOLE | TOLD], [WELL | HEALTHY]))
    assert (new.missing, [index.name for index in new.all]) == ((), [NAME])
    assert look(client([WHOLE | TOLD, WHOLE], [WELL])).all == ()
