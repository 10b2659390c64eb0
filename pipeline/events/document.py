"""Giving an event its shape: from the common application format, or ECS, to siemlite's event document.

Invariants: the input is already redacted and JSON-safe (see `redaction`); what comes out is never refused
by an index with siemlite's template; every value of the input is in the output, at its ECS field where it
has one and fits, else under `siemlite.data`; fields that are siemlite's own cannot be brought from outside.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.events import values
from pipeline.events.catalogue import BY_CODE
from pipeline.events.fields import (
    ALIASES,
    DATA_KEY_MAX,
    DATA_LEAF_MAX,
    FIELDS,
    GEO_ALIASES,
    LEVEL_NAMES,
    OURS,
    OURS_PREFIXES,
    PATHS,
    ROOTS,
)

Plain = Any
"""A JSON-safe tree: dicts with text keys, lists, text, numbers, booleans and None."""

FUTURE_MS = 86_400_000
"""How far ahead of its receipt an event's own time is believed: one day."""

_NUMBER_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_KEY_CACHE_MAX = 20_000
_COERCE: dict[str, Callable[[object], object | None]] = {
    "keyword": values.keyword,
    "text": values.text,
    "long": values.whole_number,
    "geo_point": values.geo_point,
}
_clean_keys: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """An event document as a nested dict, its instant, and its level for shedding."""

    body: dict[str, Plain]
    time_ms: int
    level: str


@dataclass(slots=True)
class _Draft:
    fields: dict[str, Plain] = field(default_factory=dict)
    data: dict[str, Plain] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def keep(self, key: str, value: Plain) -> None:
        name = clean_key(key)
        while name in self.data:
            name += "_"
        self.data[name] = clean_tree(value)


@dataclass(frozen=True, slots=True)
class Shaper:
    """Shapes events.

    `retention_ms` is the age beyond which an event of a live source is dated at its receipt; `measured` the
    names of metadata whose numbers also become `siemlite.number.*`; `pseudonym`, where given, replaces the
    value of each of the fields `pseudonymise`.
    """

    retention_ms: int
    measured: frozenset[str] = frozenset()
    pseudonymise: tuple[str, ...] = ()
    pseudonym: Callable[[str, str], str] | None = None

    def shape(self, plain: Mapping[str, Plain], event_id: str, received_ms: int, *, live: bool) -> Document:
        """Return the document of the redacted event `plain`, received at `received_ms`.

        `live` sources produce events as they happen; history that is read on purpose keeps its old dates.
        """
        draft = _Draft()
        take = self._take
        for key, value in plain.items():
            if key == "context" and type(value) is dict:
                continue
            take(draft, key, value)
        context = plain.get("context")
        if type(context) is dict:
            for key, value in context.items():
                take(draft, key, value)
        return self._finish(draft, event_id, received_ms, live)

    def _take(self, draft: _Draft, key: str, value: Plain) -> None:
        if value is None:
            return
        kind = type(value)
        name = ALIASES.get(key, key)
        if kind is dict:
            if name == "source.geo":
                self._take_geo(draft, value)
            elif key == "numbers":
                self._take_numbers(draft, value)
            elif key in OURS:
                draft.keep(key, value)
            elif FIELDS.get(name) == "text" and name not in draft.fields:
                self._place(draft, key, name, "text", value)
            elif key in ROOTS:
                self._take_ecs(draft, key, value)
            else:
                draft.keep(key, value)
            return
        if name == "source.geo":
            name = "source.geo.name"
        field_type = FIELDS.get(name)
        if field_type is None or (name in draft.fields and name != "tags"):
            if key in self.measured and kind in (int, float):
                draft.numbers[key] = float(value)
            draft.keep(key, value)
            return
        self._place(draft, key, name, field_type, value)

    def _place(self, draft: _Draft, key: str, name: str, field_type: str, value: Plain) -> None:
        if name in ("source.ip", "source.address"):
            self._place_address(draft, key, value)
            return
        if field_type == "date":
            found = values.instant_ms(value)
            if found is None:
                draft.keep(key, value)
                draft.fields.setdefault("tags", []).append("timestamp_parse_failure")
            else:
                draft.fields[name] = found
            return
        coerced = _COERCE[field_type](value)
        if coerced is None:
            draft.keep(key, value)
        elif name == "tags":
            draft.fields.setdefault("tags", []).extend(coerced if isinstance(coerced, list) else [coerced])
        else:
            draft.fields[name] = coerced

    @staticmethod
    def _place_address(draft: _Draft, key: str, value: Plain) -> None:
        word = values.keyword(value)
        if not isinstance(word, str) or not word:
            draft.keep(key, value)
            return
        known = draft.fields.get("source.address")
        address, ip = values.address(word)
        if known is None or (ip is not None and "source.ip" not in draft.fields and key in ("source.ip", "ip")):
            if known is not None and known != address:
                draft.keep("source.address", known)
            draft.fields["source.address"] = address
            if ip is not None:
                draft.fields["source.ip"] = ip
        elif known != address:
            draft.keep(key, value)

    def _take_geo(self, draft: _Draft, geo: dict[str, Plain]) -> None:
        rest = {}
        point = values.geo_point(geo)
        if point is not None:
            draft.fields["source.geo.location"] = point
        for key, value in geo.items():
            name = GEO_ALIASES.get(key)
            if name is not None and name not in draft.fields and value is not None:
                self._place(draft, f"geoLocation.{key}", name, FIELDS[name], value)
            elif value is not None and (point is None or key not in ("lat", "latitude", "lon", "lng", "longitude")):
                rest[key] = value
        if rest:
            draft.keep("geoLocation", rest)

    def _take_numbers(self, draft: _Draft, numbers: dict[str, Plain]) -> None:
        for key, value in numbers.items():
            if _NUMBER_NAME.fullmatch(key) and isinstance(value, int | float) and not isinstance(value, bool):
                draft.numbers[key] = float(value)
            else:
                draft.keep(f"numbers.{key}", value)

    def _take_ecs(self, draft: _Draft, prefix: str, tree: dict[str, Plain]) -> None:
        """Take the fields of an ECS object; what has no field of its own stays together as metadata."""
        for key, value in tree.items():
            name = f"{prefix}.{key}"
            if value is None:
                continue
            field_type = FIELDS.get(name)
            if name in OURS or name.startswith(OURS_PREFIXES):
                draft.keep(name, value)
            elif (
                field_type is not None
                and name not in draft.fields
                and (type(value) is not dict or field_type == "geo_point")
            ):
                self._place(draft, name, name, field_type, value)
            elif type(value) is dict and name.count(".") < 4:
                self._take_ecs(draft, name, value)
            else:
                if name in self.measured and type(value) in (int, float):
                    draft.numbers[name.replace(".", "_")] = float(value)
                draft.keep(name, value)

    def _finish(self, draft: _Draft, event_id: str, received_ms: int, live: bool) -> Document:
        found = draft.fields
        own_ms = found.pop("@timestamp", None)
        time_ms = received_ms if own_ms is None else own_ms
        if own_ms is not None and (
            own_ms > received_ms + FUTURE_MS or (live and own_ms < received_ms - self.retention_ms)
        ):
            found["event.created"] = own_ms
            time_ms = received_ms
        created = found.get("event.created")
        if created is not None:
            found["event.created"] = values.instant_text(created)
        level = self._describe(found)
        for name in self.pseudonymise:
            value = found.get(name)
            if self.pseudonym is not None and value is not None:
                self._replace(found, name, value)
        body: dict[str, Plain] = {"@timestamp": values.instant_text(time_ms), "event": {"id": event_id}}
        for name, value in found.items():
            path = PATHS[name]
            if len(path) == 1:
                body[name] = value
                continue
            place = body
            for step in path[:-1]:
                place = place.setdefault(step, {})
            place[path[-1]] = value
        ours: dict[str, Plain] = {}
        if draft.numbers:
            ours["number"] = draft.numbers
        if draft.data:
            ours["data"] = draft.data
        if ours:
            body["siemlite"] = ours
        return Document(body, time_ms, level)

    @staticmethod
    def _describe(found: dict[str, Plain]) -> str:
        """Add what the catalogue knows of the event's code; return the level."""
        kind = BY_CODE.get(found["event.code"]) if type(found.get("event.code")) is str else None
        if kind is not None:
            found.setdefault("event.action", kind.action)
            found.setdefault("event.category", kind.category)
            found.setdefault("event.type", kind.type)
            if kind.outcome is not None:
                found.setdefault("event.outcome", kind.outcome)
        level = found.get("log.level")
        if type(level) is str:
            level = level.lower()
            level = LEVEL_NAMES.get(level, level)
        else:
            level = kind.level if kind is not None else "info"
        found["log.level"] = level
        found.setdefault("event.kind", "event")
        return level

    def _replace(self, found: dict[str, Plain], name: str, value: Plain) -> None:
        if self.pseudonym is None:
            return
        if isinstance(value, list):
            found[name] = [self.pseudonym(name, str(item)) for item in value]
        else:
            found[name] = self.pseudonym(name, str(value))
        if name in ("source.address", "source.ip"):
            found.pop("source.ip", None)


def clean_key(key: str) -> str:
    """Return `key` in a form that a `flattened` field accepts, the same for the same key."""
    clean = _clean_keys.get(key)
    if clean is None:
        clean = _clean(key)
        if len(_clean_keys) >= _KEY_CACHE_MAX:
            _clean_keys.clear()
        if len(key) <= DATA_KEY_MAX:
            _clean_keys[key] = clean
    return clean


def _clean(key: str) -> str:
    parts = [part for part in key.replace("\0", "\ufffd").split(".") if part.strip()]
    return values.shortened(".".join(parts) or "_", DATA_KEY_MAX)


def clean_tree(value: Plain) -> Plain:
    """Return metadata with every key clean and every long text shortened; unchanged trees are not copied."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= DATA_LEAF_MAX else values.shortened(value, DATA_LEAF_MAX)
    if kind is dict:
        return _clean_dict(value)
    if kind is list:
        return [clean_tree(item) for item in value]
    return value


def _clean_dict(tree: dict[str, Plain]) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key, value in tree.items():
        name = clean_key(key)
        while name in result:
            name += "_"
        result[name] = value if type(value) in (int, float, bool) else clean_tree(value)
    return result
