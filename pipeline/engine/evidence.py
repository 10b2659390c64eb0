"""What an alert shows of the events behind it: how many, and the latest of them as stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.elastic.search import Search, Searcher
from pipeline.engine.finding import Group
from pipeline.engine.queries import TIME
from pipeline.engine.result import Evidence, Sample, Wanted
from pipeline.engine.view import View
from pipeline.errors import SiemliteError

Window = tuple[int, int]

_LATEST_FIRST = [
    {TIME: {"order": "desc", "format": "epoch_millis", "unmapped_type": "date"}},
    {"event.id": {"order": "desc", "unmapped_type": "keyword"}},
]


def several(searcher: Searcher, views: Sequence[View], wanted: Sequence[Wanted], size: int) -> list[Evidence]:
    """Return the evidence for each of `wanted`, seen by the view in its place, with up to `size` samples."""
    searches = [_search(view, one, size) for view, one in zip(views, wanted, strict=True)]
    answers = iter(searcher.many([search for search in searches if search is not None]))
    found = []
    for search in searches:
        if search is None:
            found.append(Evidence(0))
            continue
        answer = next(answers)
        if isinstance(answer, SiemliteError):
            raise answer
        hits = answer["hits"]
        found.append(Evidence(int(hits["total"]["value"]), _samples(hits["hits"])))
    return found


def _search(view: View, wanted: Wanted, size: int) -> Search | None:
    window = (wanted.first_ms, wanted.last_ms)
    names = view.names(*window)
    if not names:
        return None
    body = {"size": size, "track_total_hits": True, "query": view.query(*window, *_of(wanted.group))}
    if size:
        body["sort"] = _LATEST_FIRST
    return Search.of(names, body, timeout_ms=view.timeout_ms, weight=1 + size)


def _samples(hits: Sequence[Mapping[str, Any]]) -> tuple[Sample, ...]:
    return tuple(
        Sample(hit["_index"], hit["_id"], int(hit["sort"][0]), hit["_source"]) for hit in hits if "sort" in hit
    )


def _of(group: Group) -> tuple[dict[str, object], ...]:
    return tuple({"term": {name: {"value": value}}} for name, value in group)
