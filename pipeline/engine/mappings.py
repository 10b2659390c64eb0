"""Whether the event indices are mapped so that what is asked of them is answered truthfully.

An index that was made while a template of somebody else's had the higher priority, or that was restored or reindexed
without one, holds events that no query finds: a `term` on a `text` field matches nothing, and says nothing of it.
Invariants: such an index is missing like one without its primary, so that what needs its day is not evaluated and
says so; each index is looked at once in a process; where its mapping may not be read it is taken as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.elastic.client import ForbiddenError, translated
from pipeline.elastic.search import INDICES_PER_CALL
from pipeline.engine.indices import Index, Indices, Missing

_KEYWORDS = frozenset({"keyword", "constant_keyword", "wildcard"})
CORE: Mapping[str, frozenset[str]] = {
    "@timestamp": frozenset({"date", "date_nanos"}),
    **dict.fromkeys(("event.code", "source.address", "user.id", "service.name"), _KEYWORDS),
}
"""The fields that nearly every detection needs, and the types that answer as it expects."""

_FILTER = ",".join(
    ("*.mappings.dynamic", *(f"*.mappings.properties.{name.replace('.', '.properties.')}.type" for name in CORE))
)


class Mappings:
    """Judges indices by their mappings, and remembers the judgements by index UUID."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self._known: dict[str, str] = {}

    def judged(self, indices: Indices) -> Indices:
        """Return `indices`, with those among the missing that are not mapped as siemlite's are."""
        fresh = [index for index in indices.all if index.uuid not in self._known]
        for start in range(0, len(fresh), INDICES_PER_CALL):
            self._read(fresh[start : start + INDICES_PER_CALL])
        unfit = tuple(
            Missing(text, index.day_ms) for index in indices.all if (text := self._known.get(index.uuid, "")) != ""
        )
        return replace(indices, missing=(*indices.missing, *unfit)) if unfit else indices

    def _read(self, indices: list[Index]) -> None:
        names = ",".join(index.name for index in indices)
        try:
            with translated("reading the mappings of the event indices"):
                answer = self._client.perform_request(
                    "GET",
                    f"/{names}/_mapping?ignore_unavailable=true&filter_path={_FILTER}",
                    headers={"accept": "application/json"},
                ).body
        except ForbiddenError:
            answer = None
        for index in indices:
            wrong = [] if answer is None else list(_wrong(answer.get(index.name, {}).get("mappings", {})))
            self._known[index.uuid] = (
                f"{index.name} is not mapped as siemlite's indices are ({', '.join(wrong)}): see `siemlite check`"
                if wrong
                else ""
            )


def _wrong(mappings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no query would be answered truthfully about; a field that is not there may still come."""
    grows = str(mappings.get("dynamic", "true")).lower() == "true"
    for name, fit in CORE.items():
        place: Any = mappings
        for step in name.split("."):
            place = place.get("properties", {}).get(step, {}) if isinstance(place, Mapping) else {}
        kind = place.get("type")
        if kind is None and not grows:
            yield f"{name} is not mapped"
        elif kind is not None and kind not in fit:
            yield f"{name} is {kind}"
