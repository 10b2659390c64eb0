"""The index templates in a real Elasticsearch, and documents that hostile input makes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch, NotFoundError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.elastic.client import connect
from pipeline.elastic.templates import compare, install, shipped
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.events.document import Shaper
from pipeline.events.encoded import stamped
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.fields import ALIASES, FIELDS, GEO_ALIASES, OWN_FIELDS, ROOTS
from pipeline.events.redaction import Redactor
from pipeline.settings import Settings
from pipeline.shipping.bulk import send

NOW = 1_795_485_600_000


@pytest.fixture
def client(es_url: str) -> Iterator[Elasticsearch]:
    client = connect(Settings(_env_file=None), es_url)
    yield client
    client.close()


def test_installing_again_changes_nothing(client: Elasticsearch) -> None:
    assert {found.change for found in install(client)} == {"created"}
    before = client.indices.get_index_template(name="security-*").body
    assert {found.change for found in install(client)} == {"unchanged"}
    assert client.indices.get_index_template(name="security-*").body == before


def test_a_newer_version_replaces_and_an_older_one_is_refused_before_anything_changes(client: Elasticsearch) -> None:
    templates = shipped()
    newer = tuple(
        replace(found, version=found.version + 1, body={**found.body, "version": found.version + 1})
        for found in templates
    )
    install(client, templates)
    assert {found.change for found in install(client, newer)} == {"upgraded"}
    before = client.indices.get_index_template(name="security-*").body
    with pytest.raises(ConfigurationError, match="upgrade this siemlite"):
        install(client, templates)
    assert client.indices.get_index_template(name="security-*").body == before


class _Lied(Elasticsearch):
    """Is told `lies` times that a template that it asks for is not there."""

    lies = 0

    def perform_request(self, method: str, path: str, **options: Any) -> Any:
        answer = super().perform_request(method, path, **options)
        if method == "GET" and "_template/" in path and self.lies:
            self.lies -= 1
            raise NotFoundError("no such template", answer.meta, {})
        return answer


def test_a_template_that_only_seems_to_be_missing_is_not_downgraded(client: Elasticsearch, es_url: str) -> None:
    first, *_ = shipped()
    newer = replace(first, version=99, body={**first.body, "version": 99})
    install(client, (newer,))
    lied = _Lied(es_url)
    lied.lies = 2
    with pytest.raises(PermanentError, match="already exists"):
        install(lied, (first,))
    lied.lies = 1
    with pytest.raises(RetryableError, match=r"made by another meanwhile, and is to be downgraded"):
        install(lied, (first,))
    assert [found.change for found in compare(client, (newer,))] == ["unchanged"]


def test_who_finds_that_another_was_faster_has_nothing_left_to_do(client: Elasticsearch, es_url: str) -> None:
    install(client)
    lied = _Lied(es_url)
    lied.lies = 1
    assert {found.change for found in install(lied)} == {"created", "unchanged"}
    assert {found.change for found in compare(client)} == {"unchanged"}


def _stored(client: Elasticsearch, events: list[Any]) -> list[str]:
    """Send `events` as the shipper does; return the reasons of those that were refused."""
    encoder = Encoder(Redactor(), Shaper(10**12))
    drafts = [Draft(event, f"id-{number}") for number, event in enumerate(events)]
    encoded = encoder.encode(drafts, NOW, live=True)
    for index in {event.target for event in encoded}:
        client.options(ignore_status=404).indices.delete(index=index)
    body = stamped(b"".join(event.lines() for event in encoded), NOW)
    items = send(client.options(request_timeout=60), body, len(encoded))
    return [item.reason for item in items or () if item.reason]


def _deep(levels: int) -> Any:
    tree: Any = "leaf"
    for _ in range(levels):
        tree = {"a": tree}
    return tree


_NASTY: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, float("nan"), float("inf"), "", " ", "\0", "x" * 40_000, "\ud800", "…" * 20_000,
    [], [[]], [1, "a", None], [{"a": 1}], {}, {"": 1}, {".": 1}, {"..": 1}, {"a..b": 1}, {"\0": 1}, {"a\0b": 1},
    {".a": 1}, {"a.": 1}, {"x" * 40_000: 1}, {"x" * 40_000: "y" * 40_000}, {"a.b": 1, "a": {"b": 2}}, _deep(25),
    {"lat": 91, "lon": 0}, {"lat": "a", "lon": None}, {"type": "Point", "coordinates": [500, 1]}, "999.1.2.3", "::1%0",
    "2026-99-99", "99999-01-01T00:00:00Z", -(10**18), b"bytes", object(), {1: 2, None: 3, (1, 2): 4},
]  # fmt: skip


def test_no_value_in_any_field_makes_the_index_refuse_an_event(client: Elasticsearch) -> None:
    install(client)
    names = sorted({*FIELDS, *OWN_FIELDS, *ALIASES, *ROOTS, "context", "numbers", "siemlite.number.x", "x"})
    events = [{name: value} for name in names for value in _NASTY]
    events += [{"geoLocation": {name: value}} for name in GEO_ALIASES for value in _NASTY]
    events += [{"context": {name: value}} for name in ("ip", "userId", "body", "") for value in _NASTY]
    events += [{"numbers": {f"n{number}": number for number in range(2_000)}}]
    for start in range(0, len(events), 1_000):
        assert _stored(client, events[start : start + 1_000]) == []


_keys = st.sampled_from([*FIELDS, *ALIASES, *ROOTS, "", ".", "a", "a.b", "\0"]) | st.text(max_size=8)
_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_trees = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4), max_leaves=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.dictionaries(_keys, _trees, max_size=6), min_size=1, max_size=40))
def test_no_combination_of_fields_makes_the_index_refuse_an_event(client: Elasticsearch, events: list[Any]) -> None:
    install(client)
    assert _stored(client, events) == []


def test_no_metadata_is_so_long_that_it_cannot_be_found(client: Elasticsearch) -> None:
    install(client)
    letter = "\U0001f4a3"
    nested: Any = letter * 4000
    for _ in range(15):
        nested = {letter * 256: nested}
    events: list[Any] = [{"note": letter * 4000}, {"note": letter * 5000}, {"note": nested}]
    assert _stored(client, events) == []
    client.indices.refresh(index="security-logs-*")
    found = client.search(index="security-logs-*", query={"prefix": {"siemlite.data": letter}})
    assert found["hits"]["total"]["value"] == len(events)


def test_a_template_that_somebody_changed_is_told_of_and_mended(es_url: str) -> None:
    client = Elasticsearch(es_url)
    install(client)
    changed = {"mappings": {"dynamic": True}}
    client.cluster.put_component_template(name="security-logs@mappings", version=3, template=changed)
    assert [one.change for one in compare(client) if one.name == "security-logs@mappings"] == ["mended"]
    install(client)
    assert {one.change for one in compare(client)} == {"unchanged"}
