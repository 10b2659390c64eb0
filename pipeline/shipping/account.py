"""What Elasticsearch knows of events that are not whole: dead letters that wait, and gaps of the last day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.elastic.client import translated
from pipeline.events.catalogue import LEVELS
from pipeline.events.encoded import INDEX_PREFIX
from pipeline.events.mark import MARK_FIELDS, SIGNATURE, DrillMarker, is_signed
from pipeline.events.own import LOG_GAP
from pipeline.events.values import instant_text
from pipeline.shipping.letters import INDEX

GAPS_MS = 86_400_000
_SECONDS = 3.0
_MARKED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Account:
    """Dead letters that were not replayed, `LOG_GAP` events of the last 24 hours, and what those count as shed.

    Gaps that a drill played are left out, where their mark is signed by this installation.
    `by_level` does not add up to `shed` where a gap does not know the levels, as with syslog datagrams.
    """

    letters: int
    gaps: int
    shed: int
    by_level: Mapping[str, int]


def account(client: Elasticsearch, now_ms: int, marker: DrillMarker) -> Account:
    """Ask `client`. Raises `SiemliteError`."""
    of_the_day: list[dict[str, Any]] = [
        {"term": {"event.code": LOG_GAP.code}},
        {"range": {"@timestamp": {"gte": instant_text(now_ms - GAPS_MS)}}},
    ]
    asking = client.options(request_timeout=_SECONDS)
    with translated("counting dead letters and gaps"):
        letters = asking.count(index=INDEX, query={"term": {"siemlite.letter.state": "kept"}}, ignore_unavailable=True)
        marked = asking.search(
            index=f"{INDEX_PREFIX}*",
            size=_MARKED_MAX,
            source=False,
            query={"bool": {"filter": [*of_the_day, {"exists": {"field": SIGNATURE}}]}},
            docvalue_fields=list(MARK_FIELDS),
        )
        played = [hit["_id"] for hit in marked["hits"]["hits"] if is_signed(hit, marker.verify)]
        gaps = asking.search(
            index=f"{INDEX_PREFIX}*",
            size=0,
            track_total_hits=True,
            query={"bool": {"filter": of_the_day, "must_not": [{"ids": {"values": played}}]}},
            aggs={
                "shed": {"sum": {"field": "siemlite.number.shed"}},
                **{level: {"sum": {"field": f"siemlite.number.shed_{level}"}} for level in LEVELS},
            },
        )
    sums = gaps.get("aggregations") or {}
    return Account(
        letters["count"],
        gaps["hits"]["total"]["value"],
        _whole(sums, "shed"),
        {level: _whole(sums, level) for level in LEVELS},
    )


def _whole(sums: Mapping[str, Mapping[str, float]], name: str) -> int:
    return round(sums.get(name, {}).get("value") or 0)
