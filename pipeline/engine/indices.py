"""Which event indices there are, how far each shard has come, and which days they hold.

Invariants: a shard's position is its primary's global checkpoint, read before the refresh that makes all up
to it searchable on every copy; an index whose name names no day may hold any day, and one that stands behind its old
name after shrinking (`shrink-ab1c-security-logs-2026.01.01`) holds the day of that; an answer that leaves something
out is an error, or says what is missing, and never passes for one about fewer indices.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.elastic.client import part, translated
from pipeline.elastic.search import by_url
from pipeline.engine.checkpoint import ShardId
from pipeline.errors import RetryableError

PREFIX = "security-logs-"
DAY_MS = 86_400_000
_DAY = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)(?=$|-)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATS_FILTER = (
    "_shards.failed,indices.*.uuid,indices.*.shards.*.routing.primary,indices.*.shards.*.seq_no.global_checkpoint,"
    "indices.*.shards.*.commit.user_data.history_uuid"
)
_HEALTH_FILTER = "timed_out,indices.*.number_of_shards,indices.*.active_primary_shards"


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its shards' global checkpoints by number, and the first instant of the day it holds.

    `histories` are the UUIDs of the shards' histories, by number, where the server tells them.
    """

    name: str
    uuid: str
    checkpoints: tuple[tuple[int, int], ...]
    day_ms: int | None
    histories: tuple[tuple[int, str], ...] = ()

    def overlaps(self, first_ms: int, last_ms: int) -> bool:
        """Return whether events of `[first_ms, last_ms]` can be in it."""
        return self.day_ms is None or (self.day_ms <= last_ms and first_ms < self.day_ms + DAY_MS)

    def holds(self, first_ms: int, last_ms: int) -> bool:
        """Return whether all of `[first_ms, last_ms]` is of its day."""
        return self.day_ms is None or (self.day_ms <= first_ms and last_ms < self.day_ms + DAY_MS)


@dataclass(frozen=True, slots=True)
class Missing:
    """That part of an index is not there, or not to be had: `text` says what.

    `day_ms` is the first instant of the day it holds, `until_ms` the last one that it is known to hold, where that is
    not of that day; without either it may hold any.
    """

    text: str
    day_ms: int | None
    until_ms: int | None = None
    fields: frozenset[str] = frozenset()
    """The fields that are not to be had; none where nothing is."""

    def overlaps(self, first_ms: int, last_ms: int) -> bool:
        """Return whether events of `[first_ms, last_ms]` can be in it."""
        if self.day_ms is None:
            return True
        end_ms = self.day_ms + DAY_MS - 1 if self.until_ms is None else self.until_ms
        return self.day_ms <= last_ms and first_ms <= end_ms


@dataclass(frozen=True, slots=True)
class Indices:
    """All event indices at one look, and what of them is `missing`."""

    all: tuple[Index, ...]
    missing: tuple[Missing, ...] = ()

    def trouble(self, first_ms: int, last_ms: int, needed: Collection[str] = ()) -> str:
        """Say what is missing of the indices that can hold events of `[first_ms, last_ms]`, if anything is.

        `needed` are the fields that are asked for, beside the time.
        """
        of_these = [
            one.text
            for one in self.missing
            if one.overlaps(first_ms, last_ms)
            and (not one.fields or not one.fields.isdisjoint((*needed, "@timestamp")))
        ]
        return "; ".join(of_these[:3])

    def overlapping(self, first_ms: int, last_ms: int) -> tuple[str, ...]:
        """Return the names of the indices that can hold events of `[first_ms, last_ms]`."""
        return tuple(index.name for index in self.all if index.overlaps(first_ms, last_ms))

    @property
    def end_ms(self) -> int | None:
        """Return an instant that all events lie before; None where an index may hold any day."""
        days = [index.day_ms for index in self.all]
        known = [day for day in days if day is not None]
        return max(known, default=0) + DAY_MS if len(known) == len(days) else None

    def shard_count(self, names: Sequence[str]) -> int:
        """Return how many shards the indices `names` have."""
        wanted = set(names)
        return sum(len(index.checkpoints) for index in self.all if index.name in wanted)

    def shards(self) -> Iterable[tuple[Index, ShardId, int]]:
        """Yield each shard with its index and its global checkpoint."""
        for index in self.all:
            histories = dict(index.histories)
            for number, checkpoint in index.checkpoints:
                yield index, ShardId(index.uuid, number, histories.get(number, "")), checkpoint


def look(client: Elasticsearch, prefix: str = PREFIX) -> Indices:
    """Return the event indices, those whose names begin with `prefix`, as they are now.

    Raises `RetryableError` where not every node that holds a part of them could be asked.
    """
    stats, health = _asked(client, prefix)
    if stats.keys() != health.keys():  # one was made, or deleted, between the two
        stats, health = _asked(client, prefix)
    missing = [
        (name, f"{name} has {state['active_primary_shards']} of {state['number_of_shards']} primary shards")
        for name, state in sorted(health.items())
        if state["active_primary_shards"] < state["number_of_shards"]
    ]
    for only in sorted((stats.keys() ^ health.keys()) - dict(missing).keys()):
        missing.append((only, f"{only} is not told of as a whole"))
    found = []
    for name, state in sorted(stats.items()):
        checkpoints = []
        histories = []
        for number, copies in state.get("shards", {}).items():
            primary = next((copy for copy in copies if copy.get("routing", {}).get("primary")), None)
            if primary is None or "seq_no" not in primary:
                missing.append((name, f"{name} has no primary for shard {number}"))
                continue
            checkpoints.append((int(number), int(primary["seq_no"]["global_checkpoint"])))
            histories.append((int(number), str(primary.get("commit", {}).get("user_data", {}).get("history_uuid", ""))))
        shards = health.get(name, {}).get("number_of_shards", 0)
        if len(state.get("shards", {})) < shards:
            missing.append((name, f"{name} tells of {len(state.get('shards', {}))} of its {shards} shards"))
        day_ms = day_of(name.rpartition(prefix)[2])
        found.append(Index(name, state["uuid"], tuple(sorted(checkpoints)), day_ms, tuple(sorted(histories))))
    return Indices(tuple(found), tuple(Missing(text, day_of(name.rpartition(prefix)[2])) for name, text in missing))


def _asked(client: Elasticsearch, prefix: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what the statistics and the cluster's health say of each index."""
    what = "reading the positions of the event indices"
    with translated(what):
        stats = client.perform_request(
            "GET",
            f"/{prefix}*/_stats/docs?level=shards&expand_wildcards=open&filter_path={_STATS_FILTER}",
            headers={"accept": "application/json"},
        ).body
        health = client.perform_request(
            "GET",
            f"/_cluster/health/{prefix}*?level=indices&expand_wildcards=open&filter_path={_HEALTH_FILTER}",
            headers={"accept": "application/json"},
        ).body
    failed = part(what, stats, "_shards", "failed")
    if failed:
        raise RetryableError(f"{what}: {failed} shards failed")
    if part(what, health, "timed_out"):
        raise RetryableError(f"{what}: the cluster's health timed out")
    return stats.get("indices", {}), health.get("indices", {})


def refresh(client: Elasticsearch, names: Sequence[str]) -> None:
    """Make all that the indices `names` hold searchable."""
    what = "refreshing the event indices"
    for some in by_url(names):
        with translated(what):
            answer = client.indices.refresh(index=",".join(some), ignore_unavailable=True)
        failed = part(what, answer, "_shards", "failed")
        if failed:
            raise RetryableError(f"{what}: {failed} shards failed")


def day_of(name: str) -> int | None:
    """Return the first instant of the day that an index's name, without its prefix, says it holds."""
    match = _DAY.match(name)
    if match is None:
        return None
    try:
        day = datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    except ValueError:
        return None
    return (day - _EPOCH) // timedelta(milliseconds=1)
