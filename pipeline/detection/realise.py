"""Turning an example into events: what its author left unsaid is filled in so that the detection sees it.

Invariants: a field that the author names keeps its value, and is missing where that is None; what `where` wants
is filled in as far as one value can satisfy it; each group field that nobody names gets one value for the whole
example, so that two examples never meet in one group. Pure: the same arguments give the same events.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.detection.conditions import Cidr, Contains, Exists, OneOf, Phrase, Prefix, Range
from pipeline.detection.detection import Detection
from pipeline.detection.examples import Example
from pipeline.detection.where import All, AnyOf, Clause, Field, compile_where
from pipeline.events.fields import FIELDS

_ADDRESS_FIELDS = frozenset({"source.address", "source.ip", "client.address", "destination.address"})
_BENCHMARKING = int(ipaddress.ip_address("198.18.0.0"))
_BENCHMARKING_SIZE = 2**17


@dataclass(frozen=True, slots=True)
class RealEvent:
    """An event of an example: its instant, its fields by ECS name, and the pass that finds it."""

    time_ms: int
    fields: Mapping[str, Any]
    arrives: int


def realised(detection: Detection, example: Example, start_ms: int, token: str) -> Iterator[RealEvent]:
    """Yield the events of `example` from `start_ms` on; `token` makes the groups' values its own.

    An address comes from 198.18.0.0/15, the network that RFC 2544 sets aside for measurements.
    """
    kind = detection.kind
    needed = {name: _group_value(name, token) for name in (*kind.required, *kind.group)}
    wanted = satisfying(compile_where(kind.where))
    for event in example.events:
        fields = {**needed, **wanted, **event.fields}
        there = {name: value for name, value in fields.items() if value is not None}
        yield RealEvent(start_ms + event.at_ms, there, event.arrives)


def satisfying(clause: Clause) -> dict[str, Any]:
    """Return fields that satisfy `clause`, as far as it asks for something to be there."""
    if isinstance(clause, All):
        found: dict[str, Any] = {}
        for part in clause.clauses:
            found = {**satisfying(part), **found}
        return found
    if isinstance(clause, AnyOf):
        return satisfying(clause.clauses[0])
    if isinstance(clause, Field):
        value = _fitting(clause.name, clause.test)
        return {} if value is None else {clause.name: value}
    return {}


def _fitting(name: str, test: object) -> Any:
    if isinstance(test, OneOf | Contains | Phrase):
        return test.values[0]
    if isinstance(test, Prefix):
        return f"{test.values[0]}x"
    if isinstance(test, Cidr):
        return str(next(iter(ipaddress.ip_network(test.networks[0]).hosts())))
    if isinstance(test, Range):
        if test.gte is not None:
            return test.gte
        if test.gt is not None:
            return test.gt + 1
        return test.lte if test.lte is not None else (test.lt or 0) - 1
    return _group_value(name, "x") if isinstance(test, Exists) else None


def _group_value(name: str, token: str) -> Any:
    number = sum(ord(letter) * 31**place for place, letter in enumerate(token))
    kind = FIELDS.get(name)
    if name in _ADDRESS_FIELDS:
        return str(ipaddress.ip_address(_BENCHMARKING + number % _BENCHMARKING_SIZE))
    if kind == "geo_point":
        return {"lat": 0.0, "lon": 0.0}
    if kind in ("long", "date") or name.startswith("siemlite.number."):
        return number % 1_000_000
    return f"{name.rpartition('.')[2]}-{token}"
