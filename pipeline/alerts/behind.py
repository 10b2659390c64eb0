"""The events behind an alert: the query that finds them, and a line about each for people. Pure.

Invariants: the query selects the events that the alert counts, whatever the values of its group are; a line says what
the detection looked at in the event, but for what the alert's group says already.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from pipeline.detection.detection import Detection
from pipeline.detection.where import Clause, values_of
from pipeline.events.mark import DRILL
from pipeline.events.values import shortened

_QUERY_MAX = 8_000
_VALUE_MAX = 100
_LINE_FIELDS = 10
_TELLING = (
    "user.id",
    "user.target.id",
    "source.address",
    "host.name",
    "service.name",
    "source.geo.country_iso_code",
    "source.geo.name",
    "event.reason",
    "siemlite.number.rows",
    "siemlite.number.shed",
    "siemlite.data.leak.place",
)
"""What says who, from where, on what and how much."""


def looked_at(clause: Clause) -> str:
    """Return the query of `clause` in JSON; nothing where it is too long to be carried along, or no JSON."""
    try:
        text = orjson.dumps(clause.query()).decode()
    except TypeError:
        return ""
    return text if len(text) <= _QUERY_MAX else ""


def conditions(query: str, drill: str | None) -> list[dict[str, Any]]:
    """Return the query clauses that tell an alert's events from others of its group and time."""
    drilled = [] if drill is None else [{"term": {DRILL: drill}}]
    return [*([orjson.loads(query)] if query else []), *drilled]


def lines(detection: Detection, samples: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what is said of the stored events `samples`, which come latest first, in the order of time."""
    kind = detection.kind
    names = dict.fromkeys((*kind.columns, *kind.clause.fields(), *_TELLING))
    left_out = {"event.code", "@timestamp", *kind.group}
    shown = [name for name in names if name not in left_out]
    return tuple(dict.fromkeys(_line(sample["_source"], shown) for sample in reversed(list(samples))))


def _line(event: Mapping[str, Any], names: Iterable[str]) -> str:
    began = [str(value) for name in ("@timestamp", "event.code") for value in values_of(event, name)[:1]]
    words = [word(shortened(value, _VALUE_MAX)) for value in began]
    told = [(name, _values(event, name)) for name in names]
    pairs = [f"{name}={word(shortened(_text(values), _VALUE_MAX))}" for name, values in told if values]
    return " ".join((*words, *pairs[:_LINE_FIELDS]))


def word(value: str) -> str:
    """Return a value for a line that is redacted word by word: none may open a quotation that others end."""
    return json.dumps(value, ensure_ascii=False) if '"' in value else quoted(value)


def _values(event: Mapping[str, Any], name: str) -> list[Any]:
    """Return the values of a field, of a place its latitude and longitude."""
    place = [values_of(event, f"{name}.{leaf}") for leaf in ("lat", "lon")]
    return [", ".join(str(values[0]) for values in place)] if all(place) else values_of(event, name)


def _text(values: Iterable[Any]) -> str:
    return ", ".join(f"{value:.15g}" if isinstance(value, float) else str(value) for value in values)


def quoted(value: str) -> str:
    """Return a value for a line of several, in quotes where it has blanks or commas."""
    return value if value and not any(c == "," or c.isspace() for c in value) else json.dumps(value, ensure_ascii=False)
