"""What Elasticsearch knows of events that are not whole: dead letters that wait, and gaps of the last day."""

from collections.abc import Mapping
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from pipeline.elastic.client import translated
from pipeline.events.encoded import INDEX_PREFIX
from pipeline.events.values import instant_text
from pipeline.shipping.letters import INDEX

GAPS_MS = 86_400_000
_LEVELS = ("info", "warn", "error")
_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Account:
    """Dead letters that were not replayed, `LOG_GAP` events of the last 24 hours, and what those count as shed.

    `by_level` does not add up to `shed` where a gap does not know the levels, as with syslog datagrams.
    """

    letters: int
    gaps: int
    shed: int
    by_level: Mapping[str, int]


def account(client: Elasticsearch, now_ms: int) -> Account:
    """Ask `client`. Raises `SiemliteError`."""
    asking = client.options(request_timeout=_SECONDS)
    with translated("counting dead letters and gaps"):
        letters = asking.count(index=INDEX, query={"term": {"siemlite.letter.state": "kept"}}, ignore_unavailable=True)
        gaps = asking.search(
            index=f"{INDEX_PREFIX}*",
            size=0,
            track_total_hits=True,
            query={
                "bool": {
                    "filter": [
                        {"term": {"event.code": "LOG_GAP"}},
                        {"range": {"@timestamp": {"gte": instant_text(now_ms - GAPS_MS)}}},
                    ]
                }
            },
            aggs={
                "shed": {"sum": {"field": "siemlite.number.shed"}},
                **{level: {"sum": {"field": f"siemlite.number.shed_{level}"}} for level in _LEVELS},
            },
        )
    sums = gaps.get("aggregations") or {}
    return Account(
        letters["count"],
        gaps["hits"]["total"]["value"],
        _whole(sums, "shed"),
        {level: _whole(sums, level) for level in _LEVELS},
    )


def _whole(sums: Mapping[str, Mapping[str, float]], name: str) -> int:
    return round(sums.get(name, {}).get("value") or 0)
