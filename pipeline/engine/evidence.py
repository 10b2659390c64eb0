"""What an alert shows of the events behind it: how many, and the latest of them as stored."""

from pipeline.elastic.search import Search, Searcher
from pipeline.engine.finding import Group
from pipeline.engine.queries import TIME
from pipeline.engine.result import Sample
from pipeline.engine.view import View

Window = tuple[int, int]


def count(searcher: Searcher, view: View, group: Group, window: Window) -> int:
    """Return how many of the group's events lie in `window`, both ends included."""
    names = view.names(*window)
    if not names:
        return 0
    body = {"size": 0, "track_total_hits": True, "query": view.query(*window, *_of(group))}
    answer = searcher.one(Search.of(names, body, timeout_ms=view.timeout_ms))
    return int(answer["hits"]["total"]["value"])


def samples(searcher: Searcher, view: View, group: Group, window: Window, size: int) -> tuple[Sample, ...]:
    """Return up to `size` of the group's latest events in `window`, the latest first."""
    names = view.names(*window)
    if not names or size < 1:
        return ()
    body = {
        "size": size,
        "query": view.query(*window, *_of(group)),
        "sort": [
            {TIME: {"order": "desc", "format": "epoch_millis", "unmapped_type": "date"}},
            {"event.id": {"order": "desc", "unmapped_type": "keyword"}},
        ],
    }
    answer = searcher.one(Search.of(names, body, timeout_ms=view.timeout_ms))
    return tuple(
        Sample(hit["_index"], hit["_id"], int(hit["sort"][0]), hit["_source"]) for hit in answer["hits"]["hits"]
    )


def _of(group: Group) -> tuple[dict[str, object], ...]:
    return tuple({"term": {name: {"value": value}}} for name, value in group)
