"""The pieces of query bodies that the engine's stages share."""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.detection.conditions import Query
from pipeline.engine.steps import Bucket
from pipeline.events.fields import FIELDS

TIME = "@timestamp"
GroupValues = tuple[str, ...]


def times(first_ms: int, last_ms: int) -> Query:
    """Return the clause for events of `[first_ms, last_ms]`."""
    return {"range": {TIME: {"gte": first_ms, "lte": last_ms, "format": "epoch_millis"}}}


class _Missing(str):
    """No value; told by identity, because text from outside can equal any text."""

    __slots__ = ()


MISSING = _Missing()
"""Stands in a group for the value of a field that its events lack; compare with `is`."""


def group_sources(group_by: Sequence[str], *, missing: bool = False) -> list[dict[str, Any]]:
    """Return composite sources for the fields of a group.

    An event that lacks one is in no bucket, or with `missing` in one whose group holds `MISSING`.
    """
    return [
        {f"g{number}": {"terms": {"field": name, "missing_bucket": missing}}} for number, name in enumerate(group_by)
    ]


def time_source(order: str = "asc") -> dict[str, Any]:
    """Return the composite source for an event's instant in milliseconds."""
    return {"t": {"terms": {"field": TIME, "order": order}}}


def column_sources(columns: Sequence[str], order: str = "asc") -> list[dict[str, Any]]:
    """Return composite sources for columns; a missing value is None. A `geo_point` column is its finest tile."""
    return [{f"c{number}": _column(name, order)} for number, name in enumerate(columns)]


def _column(name: str, order: str) -> dict[str, Any]:
    if FIELDS.get(name) == "geo_point":
        return {"geotile_grid": {"field": name, "precision": 29, "missing_bucket": True, "order": order}}
    return {"terms": {"field": name, "missing_bucket": True, "order": order}}


def group_of(bucket: Bucket, group_by: Sequence[str]) -> GroupValues:
    """Return the group's values of a composite bucket."""
    key = bucket["key"]
    if len(group_by) == 1:
        return (word(key["g0"]),)
    return tuple(word(key[f"g{number}"]) for number in range(len(group_by)))


def word(value: object) -> str:
    """Return a group's value as text that a term query on its field understands."""
    if isinstance(value, str):
        return value
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def one_of_groups(group_by: Sequence[str], groups: Iterable[GroupValues]) -> list[Query]:
    """Return clauses that exactly the events of `groups` fit."""
    wanted = list(groups)
    if not group_by:
        return []
    if len(group_by) == 1:
        return [{"terms": {group_by[0]: [values[0] for values in wanted]}}]
    if len(wanted) == 1:
        return [{"term": {name: {"value": value}}} for name, value in zip(group_by, wanted[0], strict=True)]
    each = [{"bool": {"filter": one_of_groups(group_by, [values])}} for values in wanted]
    return [{"bool": {"should": each, "minimum_should_match": 1}}]


def near_groups(group_by: Sequence[str], groups: Iterable[GroupValues]) -> list[Query]:
    """Return clauses that the events of `groups` fit, and with several fields others too."""
    wanted = list(groups)
    return [{"terms": {name: sorted({values[number] for values in wanted})}} for number, name in enumerate(group_by)]
