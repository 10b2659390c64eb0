"""Whether the event indices are mapped so that what is asked of them is answered truthfully.

An index that was made while a template of somebody else's had the higher priority, or that was restored or reindexed
without one, holds events that no query finds: a `term` on a `text` field matches nothing, and says nothing of it.
Invariants: such an index is missing like one without its primary, so that what needs its day and those fields is not
evaluated and says so, and of one without a day in its name what needs the span of its events; a mapping that can
still change is looked at again; where it may not be read the index is taken as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from time import monotonic
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.detection.kind import Kind
from pipeline.elastic.client import ForbiddenError, part, translated
from pipeline.elastic.search import by_url
from pipeline.engine.indices import Index, Indices, Missing
from pipeline.errors import SiemliteError

_KEYWORDS = frozenset({"keyword", "constant_keyword", "wildcard"})
CORE: Mapping[str, frozenset[str]] = {
    "@timestamp": frozenset({"date", "date_nanos"}),
    **dict.fromkeys(("event.code", "source.address", "user.id", "service.name"), _KEYWORDS),
}
"""The fields that nearly every detection needs, and the types that answer as it expects."""

_FILTER = ",".join(
    ("*.mappings.dynamic", *(f"*.mappings.properties.{name.replace('.', '.properties.')}.type" for name in CORE))
)


AGAIN_SECONDS = 60.0
"""How long a verdict holds that a further field, or somebody's repair, may change."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is wrong with an index, `until` when that holds, and the span of its events where its name has no day."""

    text: str
    fields: frozenset[str]
    until: float
    span: tuple[int, int] | None = None


class Mappings:
    """Judges indices by their mappings, and remembers the judgements by index UUID."""

    def __init__(self, client: Elasticsearch, monotonic: Callable[[], float] = monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._known: dict[str, _Verdict] = {}

    def judged(self, indices: Indices) -> Indices:
        """Return `indices`, with those among the missing that are not mapped as siemlite's are."""
        now = self._monotonic()
        there = {index.uuid for index in indices.all}
        self._known = {uuid: found for uuid, found in self._known.items() if uuid in there}
        fresh = {
            index.name: index
            for index in indices.all
            if index.uuid not in self._known or self._known[index.uuid].until < now
        }
        for names in by_url(tuple(fresh)):
            self._read([fresh[name] for name in names], now)
        unfit = tuple(_missing(index, found) for index in indices.all if (found := self._known[index.uuid]).text)
        return replace(indices, missing=(*indices.missing, *unfit)) if unfit else indices

    def _read(self, indices: list[Index], now: float) -> None:
        names = ",".join(index.name for index in indices)
        answer: Any = None
        with suppress(ForbiddenError), translated("reading the mappings of the event indices"):
            answer = self._client.perform_request(
                "GET",
                f"/{names}/_mapping?ignore_unavailable=true&filter_path={_FILTER}",
                headers={"accept": "application/json"},
            ).body
        for index in indices:
            mappings = {} if answer is None else answer.get(index.name, {}).get("mappings", {})
            wrong = [] if answer is None else list(_wrong(mappings))
            final = answer is None or (not wrong and _complete(mappings))
            told = ", ".join(f"{name} {what}" for name, what in wrong)
            text = f"{index.name} is not mapped as siemlite's indices are ({told})" if wrong else ""
            span = self._span(index) if wrong and index.day_ms is None else None
            self._known[index.uuid] = _Verdict(
                text, frozenset(name for name, _ in wrong), inf if final else now + AGAIN_SECONDS, span
            )

    def _span(self, index: Index) -> tuple[int, int] | None:
        """Return the first and the last instant of the index's events, where it can tell."""
        what = f"reading the span of {index.name}"
        with suppress(SiemliteError), translated(what):
            answer = self._client.search(
                index=index.name,
                size=0,
                aggregations={
                    "first": {"min": {"field": "@timestamp"}},
                    "last": {"max": {"field": "@timestamp"}},
                },
            )
            first, last = (part(what, answer, "aggregations", name, "value") for name in ("first", "last"))
            return None if first is None or last is None else (int(first), int(last))
        return None


def _missing(index: Index, found: _Verdict) -> Missing:
    text = f"{found.text}: see `siemlite check`"
    first_ms, last_ms = (index.day_ms, None) if found.span is None else found.span
    return Missing(text, first_ms, last_ms, found.fields)


def _complete(mappings: Mapping[str, Any]) -> bool:
    """Return whether every field is there, so that no further event can bring it in another type."""
    return all(_type(mappings, name) is not None for name in CORE)


def _type(mappings: Mapping[str, Any], name: str) -> str | None:
    place: Any = mappings
    for step in name.split("."):
        place = place.get("properties", {}).get(step, {}) if isinstance(place, Mapping) else {}
    kind = place.get("type")
    return kind if isinstance(kind, str) else None


def _wrong(mappings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that no query would be answered truthfully about, and why; one that is not there may come."""
    grows = str(mappings.get("dynamic", "true")).lower() == "true"
    for name, fit in CORE.items():
        kind = _type(mappings, name)
        if kind is None and not grows:
            yield name, "is not mapped"
        elif kind is not None and kind not in fit:
            yield name, f"is {kind}"


def fields_of(kind: Kind) -> tuple[str, ...]:
    """Return the fields that a detection of `kind` looks at."""
    streams = [name for clause in kind.streams for name in clause.fields()]
    return tuple(dict.fromkeys((*kind.group, *kind.required, *kind.columns, *kind.clause.fields(), *streams)))
