"""Giving an event its shape: from the common application format, or ECS, to siemlite's event document.

Invariants: the input is already redacted and JSON-safe (see `redaction`); what comes out is never refused
by an index with siemlite's template; every value of the input is in the output, at its ECS field where it
has one and fits, else under `siemlite.data`; fields that are siemlite's own cannot be brought from outside.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.events import values
from pipeline.events.describe import describe
from pipeline.events.fields import (
    ALIASES,
    FIELDS,
    GEO_ALIASES,
    OURS,
    OURS_PREFIXES,
    PATHS,
    ROOTS,
)
from pipeline.events.metadata import Plain, clean_key, clean_tree
from pipeline.events.pseudonyms import Pseudonyms

FUTURE_MS = 86_400_000
"""How far ahead of its receipt an event's own time is believed: one day."""

NUMBERS_MAX = 32
"""Numbers of one event that are measured: each new name is a field of the day's index, of which there are few."""

VALUES_MAX = 16
"""Values of one field of one event that count; a list of ten thousand accounts is no event about each of them."""

_NUMBER_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_COERCE: dict[str, Callable[[object], object | None]] = {
    "keyword": values.keyword,
    "text": values.text,
    "long": values.whole_number,
    "geo_point": values.geo_point,
}
_COUNTRY, _COUNTRY_ISO = "source.geo.country_name", "source.geo.country_iso_code"
_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
_COORDINATES = frozenset({"lat", "latitude", "lon", "lng", "longitude"})
_ECS_DEPTH = 4


class Document(NamedTuple):
    """An event document as a nested dict, its instant, and its level for shedding."""

    body: dict[str, Plain]
    instant: values.Instant
    level: str


class Unfinished:
    """A document while its input is being walked."""

    __slots__ = ("body", "data", "instant", "numbers", "pseudonyms")

    def __init__(self, event_id: str, pseudonyms: Pseudonyms | None) -> None:
        self.body: dict[str, Plain] = {"@timestamp": "", "event": {"id": event_id}}
        self.data: dict[str, Plain] = {}
        self.numbers: dict[str, float] = {}
        self.instant: values.Instant | None = None
        self.pseudonyms = pseudonyms

    def keep(self, key: str, value: Plain) -> None:
        """Keep what has no field of its own as metadata."""
        if self.pseudonyms is not None:
            value = self.pseudonyms.metadata(key, value)
        self.data[values.unused(clean_key(key), self.data)] = clean_tree(value)

    def put(self, name: str, value: Plain) -> bool:
        """Set the field `name` unless it is set; return whether it was done."""
        *branches, leaf = PATHS[name]
        place = self.body
        for step in branches:
            place = place.setdefault(step, {})
        return place.setdefault(leaf, value) is value


@dataclass(frozen=True, slots=True)
class Shaper:
    """Shapes events.

    `retention_ms` is the age beyond which an event of a live source is dated at its receipt; `measured` the
    names of metadata whose numbers also become `siemlite.number.*`; `pseudonyms` what hides fields; `locate`,
    where given, says what is known of an IP address, as objects below `source`, and must not raise.
    """

    retention_ms: int
    measured: frozenset[str] = frozenset()
    pseudonyms: Pseudonyms | None = None
    locate: Callable[[str], Mapping[str, Mapping[str, Plain]] | None] | None = None

    def shape(self, plain: Mapping[str, Plain], event_id: str, received_ms: int, *, live: bool) -> Document:
        """Return the document of the redacted event `plain`, received at `received_ms`.

        `live` sources produce events as they happen; history that is read on purpose keeps its old dates.
        """
        draft = Unfinished(event_id, self.pseudonyms)
        context = plain.get("context")
        if type(context) is dict:
            self._walk(draft, plain, "context")
            self._walk(draft, context, None)
        else:
            self._walk(draft, plain, None)
        return self.finish(draft, received_ms, live)

    def _walk(self, draft: Unfinished, tree: Mapping[str, Plain], passed: str | None) -> None:
        for key, value in tree.items():
            if key != passed:
                self.take(draft, key, value)

    def take(self, draft: Unfinished, key: str, value: Plain) -> None:
        """Put the redacted value of `key` in its place, whatever it is."""
        if value is None:
            return
        kind = type(value)
        name = ALIASES.get(key, key)
        if kind is dict:
            self._take_object(draft, key, name, value)
            return
        if name == "source.geo":
            name = "source.geo.name"
        field_type = FIELDS.get(name)
        if field_type is not None:
            self._place(draft, key, name, field_type, value)
            return
        if key in self.measured and (number := values.number(value)) is not None:
            draft.numbers[key] = number
        draft.keep(key, value)

    def _take_object(self, draft: Unfinished, key: str, name: str, value: dict[str, Plain]) -> None:
        if name == "source.geo":
            self._take_geo(draft, value)
        elif key == "numbers":
            self._take_numbers(draft, value)
        elif key in OURS:
            draft.keep(key, value)
        elif FIELDS.get(name) in ("text", "geo_point"):
            self._place(draft, key, name, FIELDS[name], value)
        elif key in ROOTS:
            self._take_ecs(draft, key, value)
        else:
            draft.keep(key, value)

    def _place(self, draft: Unfinished, key: str, name: str, field_type: str, value: Plain) -> None:
        if name in ("source.ip", "source.address"):
            self.place_address(draft, key, value)
        elif field_type == "date":
            self.place_instant(draft, key, name, value)
        else:
            coerced = _COERCE[field_type](value)
            if coerced is None:
                draft.keep(key, value)
            elif isinstance(coerced, list) and len(coerced) > VALUES_MAX and name != "tags":
                self._place(draft, key, name, field_type, coerced[:VALUES_MAX])
                draft.keep(key, coerced[VALUES_MAX:])
            elif name == "tags":
                draft.body.setdefault("tags", []).extend(coerced if isinstance(coerced, list) else [coerced])
            elif not draft.put(name, coerced):
                draft.keep(key, value)

    @staticmethod
    def place_instant(draft: Unfinished, key: str, name: str, value: Plain) -> None:
        """Put what may be an instant into the field `name`, or keep it as metadata."""
        found = values.instant(value)
        if found is None:
            draft.keep(key, value)
            draft.body.setdefault("tags", []).append("timestamp_parse_failure")
        elif name == "@timestamp" and draft.instant is None:
            draft.instant = found
        elif name == "@timestamp" or not draft.put(name, found.text):
            draft.keep(key, value)

    @staticmethod
    def place_address(draft: Unfinished, key: str, value: Plain) -> None:
        """Put what may be an address into `source`, or keep it as metadata."""
        if type(value) is list and value and type(value[0]) is str:  # the one that made the request comes first
            if value[1:]:
                draft.keep(key, value[1:])
            value = value[0]
        word = value if type(value) is str else values.keyword(value)
        if not isinstance(word, str) or not word:
            draft.keep(key, value)
            return
        address, ip, port = values.address(word)
        source = draft.body.setdefault("source", {})
        known = source.get("address")
        if known is None or (ip is not None and "ip" not in source and key in ("source.ip", "ip")):
            if known is not None:
                draft.keep("source.address", known)
            source["address"] = address
            if ip is not None:
                source["ip"] = ip
            if port is not None:
                source.setdefault("port", port)
        elif known != address:
            draft.keep(key, value)

    def _take_geo(self, draft: Unfinished, geo: dict[str, Plain]) -> None:
        rest = {}
        point = values.geo_point(geo)
        if point is not None:
            draft.put("source.geo.location", point)
        for key, value in geo.items():
            name = GEO_ALIASES.get(key)
            if value is None or (point is not None and key in _COORDINATES):
                continue
            if name is not None:
                if name == _COUNTRY and type(value) is str and _COUNTRY_CODE.fullmatch(value):
                    name = _COUNTRY_ISO  # what people call a country is as often its code
                self._place(draft, f"geoLocation.{key}", name, FIELDS[name], value)
            else:
                rest[key] = value
        if rest:
            draft.keep("geoLocation", rest)

    def _take_numbers(self, draft: Unfinished, numbers: dict[str, Plain]) -> None:
        for key, value in numbers.items():
            number = values.number(value)
            if number is not None and len(draft.numbers) < NUMBERS_MAX and _NUMBER_NAME.fullmatch(key):
                draft.numbers[key] = number
            else:
                draft.keep(f"numbers.{key}", value)

    def _take_ecs(self, draft: Unfinished, prefix: str, tree: dict[str, Plain]) -> None:
        """Take the fields of an ECS object; what has no field of its own becomes metadata under its full name."""
        for key, value in tree.items():
            name = f"{prefix}.{key}"
            if value is None:
                continue
            field_type = FIELDS.get(name)
            if name in OURS or name.startswith(OURS_PREFIXES):
                draft.keep(name, value)
            elif field_type is not None and (type(value) is not dict or field_type in ("geo_point", "text")):
                self._place(draft, name, name, field_type, value)
            elif type(value) is dict and name.count(".") < _ECS_DEPTH:
                self._take_ecs(draft, name, value)
            else:
                if name in self.measured and (number := values.number(value)) is not None:
                    draft.numbers[name.replace(".", "_")] = number
                draft.keep(name, value)

    def finish(self, draft: Unfinished, received_ms: int, live: bool) -> Document:
        """Return the document of `draft`, which has all of its input."""
        body = draft.body
        own = draft.instant
        if own is None:
            own = values.instant_of(received_ms)
        elif own.ms > received_ms + FUTURE_MS or (live and own.ms < received_ms - self.retention_ms):
            body["event"]["created"] = own.text
            own = values.instant_of(received_ms)
        body["@timestamp"] = own.text
        level = describe(body)
        if self.locate is not None and "source" in body:
            _add_place(body["source"], self.locate)
        made_of = _name_account(body) if "user" in body else None
        if self.pseudonyms is not None:
            self.pseudonyms.hide(body, account_made_of=made_of)
        if draft.numbers or draft.data:
            ours = body["siemlite"] = {}
            if draft.numbers:
                ours["number"] = draft.numbers
            if draft.data:
                ours["data"] = draft.data
        return Document(body, own, level)


def _name_account(body: dict[str, Plain]) -> str | None:
    """Give an account without an id one; return the field that it was made of, if any.

    It is the e-mail address, in lower case and without blanks around it, and else the name: before a login succeeds
    an application often knows nothing but what was typed, and ECS calls that the name. An empty id is none. What came
    as a list, such as a client may send in place of one address, is as many accounts.
    """
    user = body["user"]
    known = user.get("id")
    if known is not None:
        if known.strip() if type(known) is str else any(word.strip() for word in _words(known)):
            return None
        del user["id"]
    for name in ("email", "name"):
        told = [word for word in _words(user.get(name)) if word.strip()]
        if name == "email":
            told = list(dict.fromkeys(word.strip().lower() for word in told))
        if told:
            user["id"] = told[0] if len(told) == 1 else told
            return f"user.{name}"
    if not user:
        del body["user"]
    return None


def _words(value: Plain) -> list[str]:
    """Return what a keyword field holds as a list."""
    return value if type(value) is list else [] if value is None else [value]


def _add_place(source: dict[str, Plain], locate: Callable[[str], Mapping[str, Mapping[str, Plain]] | None]) -> None:
    """Add what is known of the address, where the event itself says nothing beyond a name."""
    place = locate(source["ip"]) if "ip" in source else None
    for name, facts in (place or {}).items():
        said = source.get(name)
        if said is None or said.keys() == {"name"}:
            source[name] = {**facts, **(said or {})}
