"""The indices that are made once, and not one a day: alerts, and what must outlive a process.

Invariants: their mappings and aliases are siemlite's whoever's template has the higher priority, since nothing is found
in one that Elasticsearch guesses; their settings are the cluster's operator's business; one that was made before a
field was thought of is given it, and nothing that it holds is changed.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from pipeline.elastic.client import ForbiddenError, part, translated
from pipeline.elastic.templates import mappings_of, shipped
from pipeline.errors import ConfigurationError, PermanentError

REMAKE = "reindex it under siemlite's template, or delete it with all that it holds and run `siemlite setup`"


def make_indices(client: Elasticsearch, names: Sequence[str]) -> None:
    """Make the indices `names` where they are missing and wait for them, so that nobody searches them half-made.

    One that is there is given what it lacks. Raises `ConfigurationError` where that cannot be done.
    """
    for name in names:
        mappings, aliases = _ours(name)
        try:
            _make(client, name, mappings, aliases)
        except ForbiddenError:  # who may make an index need not be permitted aliases; the template has them too
            _make(client, name, mappings, {})
        if lacking(client, name):
            _complete(client, name, mappings, aliases)


def _make(client: Elasticsearch, name: str, mappings: Mapping[str, Any], aliases: Mapping[str, Any]) -> None:
    with translated(f"making the index {name}"):
        try:
            client.indices.create(index=name, mappings=mappings, aliases=aliases, wait_for_active_shards="1")
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise


def _complete(client: Elasticsearch, name: str, mappings: Mapping[str, Any], aliases: Mapping[str, Any]) -> None:
    try:
        with translated(f"mending the index {name}"):
            client.indices.put_mapping(index=name, **mappings)
            for alias in aliases:
                client.indices.put_alias(index=name, name=alias)
    except PermanentError as error:
        raise ConfigurationError(f"{error}; {REMAKE}") from error


def lacking(client: Elasticsearch, name: str) -> Sequence[str]:
    """Return which fields and aliases of ours the index `name` lacks, or has otherwise; none where it is not there."""
    mappings, aliases = _ours(name)
    what = f"reading the mappings of {name}"
    with translated(what):
        try:
            found = part(what, client.indices.get(index=name, features=["aliases", "mappings"]), name)
        except NotFoundError:
            return []
    there = _types(found.get("mappings") or {})
    fields = [field for field, kind in _types(mappings).items() if there.get(field) != kind]
    return [*fields, *(f"alias {alias}" for alias in aliases if alias not in (found.get("aliases") or {}))]


def _types(mappings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the types of all fields in `mappings`, by their dotted names."""
    found: dict[str, str] = {}
    for name, field in (mappings.get("properties") or {}).items():
        kind = field.get("type")
        if kind is not None and kind != "object":
            found[prefix + name] = kind
        found |= _types(field, f"{prefix}{name}.")
    return found


def _ours(index: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return mappings and aliases that the templates which ship with siemlite give an index called `index`."""
    templates = shipped()
    (own,) = (one for one in templates if one.kind == "index" and fnmatchcase(index, one.body["index_patterns"][0]))
    bodies = {one.name: one.body for one in templates}
    parts = [*(bodies[name] for name in own.body.get("composed_of", ())), own.body]
    mappings: dict[str, Any] = {}
    for body in parts:
        mappings = _merged(mappings, mappings_of(body))
    return mappings, dict(own.body.get("template", {}).get("aliases", {}))


def _merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return both trees as one, the upper winning."""
    both = {**lower, **upper}
    for name in lower.keys() & upper.keys():
        if isinstance(lower[name], Mapping) and isinstance(upper[name], Mapping):
            both[name] = _merged(lower[name], upper[name])
    return both
