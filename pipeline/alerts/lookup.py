"""Finding the episodes that a group has had already.

Invariants: the answer holds every alert of the group that crossings can touch, the highest episode number and
the latest closing by a person, however many episodes the group has had; the index is refreshed first, so that
every write that was acknowledged is seen. A document that somebody made unreadable is said and left out: its
group's attacks then open an alert of their own, where the detection would otherwise be blind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from elasticsearch import Elasticsearch

from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import Alert
from pipeline.alerts.search import readable, refresh, searched
from pipeline.detection.timeline import Severity
from pipeline.events.values import instant_text

_GROUPS = 500


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a group: its `near` alerts, its highest number, the latest closing by a person."""

    near: tuple[Alert, ...] = ()
    highest: int = 0
    closed_until_ms: int | None = None

    def episodes(self) -> tuple[Episode, ...]:
        """Return the episodes that a plan needs; far ones stand as bare numbers and closings."""
        episodes = [alert.episode for alert in self.near]
        known = max((e.number for e in episodes), default=0)
        known_cut = max((e.ended_ms for e in episodes if e.ended_ms is not None), default=None)
        cut = self.closed_until_ms
        if self.highest > known or (cut is not None and (known_cut is None or cut > known_cut)):
            episodes.append(_bare(max(self.highest, known), cut))
        return tuple(episodes)

    def with_alert(self, alert: Alert) -> "History":
        """Return the history after `alert` was written or read anew."""
        others = tuple(a for a in self.near if a.id != alert.id)
        cuts = [c for c in (self.closed_until_ms, alert.episode.ended_ms) if c is not None]
        return History((*others, alert), max(self.highest, alert.episode.number), max(cuts, default=None))

    def with_number(self, number: int) -> "History":
        """Return the history of a group that has used up the episode `number`, whatever became of it."""
        return replace(self, highest=max(self.highest, number))

    def without(self, alert_id: str) -> "History":
        """Return the history after an alert turned out to be gone."""
        return replace(self, near=tuple(a for a in self.near if a.id != alert_id))


@dataclass(frozen=True, slots=True)
class Span:
    """Alerts of this key whose crossings may touch those from `first_ms` to `last_ms` are looked for."""

    key: str
    first_ms: int
    last_ms: int


def histories(client: Elasticsearch, spans: Sequence[Span], suppress_for: int) -> dict[str, History]:
    """Return the history of every key in `spans`; one without alerts has an empty one."""
    refresh(client)
    found: dict[str, History] = {}
    for start in range(0, len(spans), _GROUPS):
        batch = spans[start : start + _GROUPS]
        found.update(_batch(client, batch, suppress_for))
    return found


def _batch(client: Elasticsearch, spans: Sequence[Span], suppress_for: int) -> dict[str, History]:
    keys = [span.key for span in spans]
    of_groups = {"terms": {"siemlite.episode.key": keys}}
    summary = searched(
        client,
        size=0,
        query=of_groups,
        aggregations={
            "keys": {
                "terms": {"field": "siemlite.episode.key", "size": len(keys)},
                "aggs": {
                    "highest": {"max": {"field": "siemlite.episode.number"}},
                    "persons": {
                        "filter": {"term": {"siemlite.closed.person": True}},
                        "aggs": {"latest": {"max": {"field": "siemlite.closed.at"}}},
                    },
                },
            }
        },
    )
    buckets = summary["aggregations"]["keys"]["buckets"] if "aggregations" in summary else []
    if not buckets:
        return {key: History() for key in keys}
    low = min(span.first_ms for span in spans) - suppress_for
    high = max(span.last_ms for span in spans) + suppress_for
    near: dict[str, list[Alert]] = {}
    wanted = {span.key: (span.first_ms - suppress_for, span.last_ms + suppress_for) for span in spans}
    query = {
        "bool": {
            "filter": [
                of_groups,
                {"range": {"siemlite.episode.last": {"gte": instant_text(low)}}},
                {"range": {"siemlite.episode.first": {"lte": instant_text(high)}}},
            ]
        }
    }
    for alert in readable(client, query):
        first, last = wanted[alert.key]
        if alert.episode.last_ms >= first and alert.episode.crossing_ms <= last:
            near.setdefault(alert.key, []).append(alert)
    result = {key: History() for key in keys}
    for bucket in buckets:
        latest = bucket["persons"]["latest"]["value"]
        alerts = tuple(sorted(near.get(bucket["key"], ()), key=lambda a: a.episode.number))
        cut = None if latest is None else int(latest)
        result[bucket["key"]] = History(alerts, int(bucket["highest"]["value"] or 0), cut)
    return result


def _bare(number: int, cut: int | None) -> Episode:
    """Return an episode that nothing can touch, for its number and closing alone."""
    never = -(2**62)
    return Episode(number, never, never, never, Severity.LOW, 0, ended_ms=cut)
