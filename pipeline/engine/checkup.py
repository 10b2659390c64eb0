"""Which detections can never match, and why: asked of the indices, before an attack asks it.

Invariant: nothing is changed, and a detection that can match is never called one that cannot.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from elasticsearch import Elasticsearch

from pipeline.detection.conditions import Cidr, Contains, Inverse, OneOf, Phrase, Prefix, Range, Test
from pipeline.detection.detection import Detection
from pipeline.detection.where import All, AnyOf, Clause, Field, NoneOf
from pipeline.elastic.client import translated
from pipeline.elastic.search import Answer, Search, Searcher
from pipeline.engine.indices import PREFIX, look
from pipeline.engine.mappings import fields_of
from pipeline.errors import SiemliteError
from pipeline.events.fields import FIELDS, OWN_FIELDS

_GROUPABLE = frozenset(
    ("keyword", "ip", "boolean", "date", "long", "integer", "short", "byte", "double", "float", "half_float")
)
_NUMBERS = frozenset(("long", "integer", "short", "byte", "double", "float", "half_float", "date"))
_DYNAMIC = ("siemlite.number.",)
_FLATTENED = "siemlite.data."
_LOOKED_FOR_MAX = 500
"""How many of a detection's values are looked for, each of which is a question to every event index."""
_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a detection can never match (`wrong`), or has nothing to match so far (`note`)."""

    detection_id: str
    verdict: Literal["wrong", "note"]
    text: str


def examine(client: Elasticsearch, detections: Sequence[Detection]) -> Iterator[Doubt]:
    """Yield the doubts about `detections`.

    Where there is no event index yet, the fields are those of the index template, and no values are looked for.
    """
    names = [index.name for index in look(client).all]
    types = _types(client, detections) if names else {name: {kind} for name, kind in _template().items()}
    metadata = _metadata(client, names, {name for one in detections for name in _fields(one) if not types.get(name)})
    sound = []
    known = {detection.id for detection in detections}
    for detection in detections:
        try:
            doubts = list(_wrong(detection, types, metadata))
            body = _body(detection)
        except Exception as error:  # noqa: BLE001 - a defect in one must not hide the others
            yield Doubt(detection.id, "wrong", f"it cannot be looked at: {type(error).__name__}: {error}")
            continue
        yield from doubts
        for name in detection.kind.inhibits:
            if name not in known:
                yield Doubt(detection.id, "note", f"it speaks for {name}, and there is no such detection")
        if not any(doubt.verdict == "wrong" for doubt in doubts):
            sound.append((detection, body))
    if names:
        yield from _unseen(client, names, sound)


def _template() -> dict[str, str]:
    return {**FIELDS, **OWN_FIELDS}


def _types(client: Elasticsearch, detections: Sequence[Detection]) -> dict[str, set[str]]:
    """Return the types that each field has in some index."""
    fields = sorted({name for detection in detections for name in _fields(detection)})
    if not fields:
        return {}
    with translated("reading the fields of the event indices"):
        answer = client.field_caps(index=f"{PREFIX}*", fields=fields, include_unmapped=False)
    return {name: set(kinds) - {"unmapped"} for name, kinds in answer["fields"].items()}


def _fields(detection: Detection) -> tuple[str, ...]:
    try:
        return fields_of(detection.kind)
    except Exception:  # noqa: BLE001 - the look at the detection itself tells it
        return ()


def _metadata(client: Elasticsearch, names: Sequence[str], unmapped: set[str]) -> frozenset[str]:
    """Return which of the fields `unmapped` events have as metadata."""
    wanted = sorted(name for name in unmapped if not name.startswith((*_DYNAMIC, _FLATTENED)))
    if not wanted or not names:
        return frozenset()
    filters = {f"f{number}": {"exists": {"field": _FLATTENED + name}} for number, name in enumerate(wanted)}
    (answer,) = Searcher(client).many(
        [Search.of(names, {"size": 0, "aggs": {"seen": {"filters": {"filters": filters}}}})]
    )
    if isinstance(answer, SiemliteError):
        return frozenset()
    buckets = answer["aggregations"]["seen"]["buckets"]
    return frozenset(name for number, name in enumerate(wanted) if buckets[f"f{number}"]["doc_count"])


def _wrong(detection: Detection, types: Mapping[str, set[str]], metadata: frozenset[str]) -> Iterator[Doubt]:
    """Yield what the types of the fields tell against a detection; `metadata` are fields that are no more than that."""
    kind = detection.kind
    for name in fields_of(kind):
        if not types.get(name) and not name.startswith((*_DYNAMIC, _FLATTENED)):
            yield Doubt(detection.id, "wrong", _unmapped(name, there=name in metadata))
    for name in (*kind.group, *kind.columns):
        unfit = types.get(name, set()) - _GROUPABLE - ({"geo_point"} if name in kind.columns else set())
        if unfit:
            text = f"the field {name} is {' and '.join(sorted(unfit))} and cannot be grouped by; use a keyword field"
            yield Doubt(detection.id, "wrong", text)
    for name in kind.numbers:
        if name.startswith(_FLATTENED):
            what = "is metadata, which is text; name it in SIEMLITE_MEASURE and use siemlite.number.…"
            yield Doubt(detection.id, "wrong", f"the field {name} {what}")
        elif types.get(name) and not types[name] & _NUMBERS:
            yield Doubt(detection.id, "wrong", f"the field {name} is no number and cannot be measured")
    for name, test, _ in (found for clause in (kind.clause, *kind.streams) for found in _tests(clause)):
        if types.get(name):
            yield from (Doubt(detection.id, verdict, text) for verdict, text in _unfit(name, test, types[name]))


def _unfit(name: str, test: Test, found: set[str]) -> Iterator[tuple[Literal["wrong", "note"], str]]:
    """Yield what is to be said of a condition on a field whose types in the indices are `found`."""
    if isinstance(test, OneOf | Prefix | Contains) and found == {"text"}:
        yield "note", _of_text(name, [str(value) for value in test.values])
    if isinstance(test, Phrase) and "text" not in found:
        yield "wrong", f"phrase(…) needs a text and {name} is none; use contains(…), or a value"
    if isinstance(test, Cidr) and "ip" not in found:
        yield "wrong", f"cidr(…) needs an ip field and {name} is none; use source.ip"
    if isinstance(test, Range) and not found & _NUMBERS:
        yield "wrong", f"a range needs a number and {name} is none"


def _unmapped(name: str, *, there: bool) -> str:
    if there:
        return f"{name} is no field of its own, and events have it as metadata; use {_FLATTENED}{name}"
    return (
        f"the field {name} is mapped in no event index; correct its name, or use {_FLATTENED}{name} for what "
        "applications log by that name"
    )


def _of_text(name: str, values: Sequence[str]) -> str:
    """Return what becomes of values that are compared with a text; how that is cut into words, only its index knows."""
    text = f"the field {name} is text and is compared word by word, in lower case"
    never = [value for value in values if any(letter.isspace() or letter.isupper() for letter in value)]
    return f"{text}, so that {never[0]!r} fits nothing; use phrase(…)" if never else text


def _tests(clause: Clause, *, wanted: bool = True) -> Iterator[tuple[str, Test, bool]]:
    """Yield each field of `clause` with a test, and whether values that fit the test are wanted, or excluded."""
    if isinstance(clause, Field):
        test = clause.test
        while isinstance(test, Inverse):
            test, wanted = test.test, not wanted
        yield clause.name, test, wanted
    elif isinstance(clause, NoneOf):
        yield from _tests(clause.clause, wanted=not wanted)
    elif isinstance(clause, All | AnyOf):
        for part in clause.clauses:
            yield from _tests(part, wanted=wanted)


def _unseen(
    client: Elasticsearch, names: Sequence[str], bodies: Sequence[tuple[Detection, dict[str, Any]]]
) -> Iterator[Doubt]:
    """Yield which detections and values have no event at all; each comes with the body that asks for them."""
    searches = [Search.of(names, body) for _, body in bodies]
    for (detection, _), answer in zip(bodies, Searcher(client).many(searches), strict=True):
        if isinstance(answer, SiemliteError):
            yield Doubt(detection.id, "wrong", str(answer))
        else:
            yield from _seen_nothing(detection, answer)


def _body(detection: Detection) -> dict[str, Any]:
    kind = detection.kind
    clauses = [kind.clause.query()]
    grouped = [*clauses, *({"exists": {"field": name}} for name in kind.group)]
    filters: dict[str, Any] = {"all": {"bool": {"filter": clauses}}, "grouped": {"bool": {"filter": grouped}}}
    for number, stream in enumerate(kind.streams):
        earlier = [other.query() for other in kind.streams[:number]]
        filters[f"s{number}"] = {"bool": {"filter": [*grouped, stream.query()], "must_not": earlier}}
    for number, (name, value) in enumerate(_values(detection)):
        filters[f"v{number}"] = {"term": {name: {"value": value}}}
    return {"size": 0, "aggs": {"seen": {"filters": {"filters": filters}}}}


def _values(detection: Detection) -> list[tuple[str, Any]]:
    """Return the values that the detection's events, or those it counts among them, are to have: the first of them."""
    clauses = (detection.kind.clause, *detection.kind.streams)
    tests = [found for clause in clauses for found in _tests(clause)]
    found = (
        (name, value) for name, test, wanted in tests if wanted and isinstance(test, OneOf) for value in test.values
    )
    return list(islice(dict.fromkeys(found), _LOOKED_FOR_MAX))


def _seen_nothing(detection: Detection, answer: Answer) -> Iterator[Doubt]:
    seen = {name: bucket["doc_count"] for name, bucket in answer["aggregations"]["seen"]["buckets"].items()}
    values = _values(detection)
    unseen = [f"{name}: {value}" for number, (name, value) in enumerate(values) if not seen[f"v{number}"]]
    if seen["all"] and not seen["grouped"]:
        fields = " and ".join(detection.group_by)
        yield Doubt(detection.id, "note", f"none of its events ({seen['all']:,}) has {fields}, which it groups by")
    elif unseen and len(unseen) < len(values):
        more = f" and {len(unseen) - _NAMED_MAX:,} more of its values" if len(unseen) > _NAMED_MAX else ""
        yield Doubt(detection.id, "note", f"no event has had {', '.join(unseen[:_NAMED_MAX])}{more}")
    elif not seen["all"]:
        yield Doubt(detection.id, "note", "no event has matched its where so far")
    else:
        yield from _parts_unseen(detection, seen)


def _parts_unseen(detection: Detection, seen: Mapping[str, int]) -> Iterator[Doubt]:
    """Yield which of the parts that a kind tells apart no event fits, though each of their values has been seen."""
    for number, stream in enumerate(detection.kind.streams):
        if not seen[f"s{number}"]:
            fields = " and ".join(dict.fromkeys(stream.fields())) or "its condition"
            before = ", none but those that fit a part before it" if number else ""
            text = f"none of its events ({seen['grouped']:,}) fits part {number + 1} ({fields}){before}"
            yield Doubt(detection.id, "note", text)
