"""Installing the index templates that ship with siemlite.

A file of `index_templates/` is the body of one request; its stem is the template's name, and a stem with
`@` a component template's. Invariants: installing twice changes nothing; a higher `version` replaces a
lower one; a lower one never replaces a higher one, because a newer siemlite is then at work beside us, and one that
seems to be missing is created only where there is none; one of our version whose mappings somebody changed is mended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

import pipeline
from pipeline.elastic.client import ForbiddenError, part, translated
from pipeline.errors import ConfigurationError, RetryableError

FOLDER = Path(pipeline.__file__).parent.parent / "index_templates"
LOGS = "security-logs"
OLDEST = (8, 13)
"""The oldest Elasticsearch that knows all that the templates ask for."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template: `kind` is `component` or `index`, `body` its request."""

    name: str
    kind: str
    version: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of a template: `change` is `created`, `upgraded`, `mended` or `unchanged`."""

    name: str
    version: int
    change: str


def shipped(folder: Path = FOLDER) -> tuple[Template, ...]:
    """Return the templates of `folder`, component templates first."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            body = orjson.loads(path.read_bytes())
            version = body["version"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is not an index template with a version: {error!r}") from None
        found.append(Template(path.stem, "component" if "@" in path.stem else "index", int(version), body))
    if not found:
        raise ConfigurationError(f"no index templates in {folder}; reinstall siemlite")
    return tuple(sorted(found, key=lambda template: (template.kind != "component", template.name)))


def install(client: Elasticsearch, templates: tuple[Template, ...] | None = None) -> tuple[Installed, ...]:
    """Install `templates` (all that ship with siemlite) where they are missing or older.

    Raises `ConfigurationError` where the cluster holds a newer version, before anything is changed.
    """
    refuse_old(client)
    wanted = shipped() if templates is None else templates
    compared = compare(client, wanted)
    for template, found in zip(wanted, compared, strict=True):
        if found.change == "downgraded":
            raise ConfigurationError(
                f"index template {template.name} is newer in Elasticsearch than version {template.version} here; "
                "upgrade this siemlite rather than downgrade the template"
            )
    for template, found in zip(wanted, compared, strict=True):
        if found.change != "unchanged":
            _put(client, template, create=found.change == "created")
    return compared


def refuse_old(client: Elasticsearch) -> None:
    """Raise `ConfigurationError` where a node is older than the templates can do with."""
    try:
        with translated("asking for the version of Elasticsearch"):
            nodes = client.nodes.info(metric="os", filter_path="nodes.*.version")
    except ForbiddenError:
        return  # whoever may not look is trusted to know
    told = part("asking for the version of Elasticsearch", nodes, "nodes").values()
    versions = sorted({str(node["version"]) for node in told if "version" in node}, key=_parts)
    if versions and _parts(versions[0]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"Elasticsearch {versions[0]} is too old: siemlite needs {oldest} or newer; upgrade it"
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])


def compare(client: Elasticsearch, templates: tuple[Template, ...] | None = None) -> tuple[Installed, ...]:
    """Return what `install` would do with each template; one that is newer there would be `downgraded`."""
    results = []
    for template in shipped() if templates is None else templates:
        found = _installed(client, template)
        version = None if found is None else int(found.get("version") or 0)
        if found is None or version is None:
            change = "created"
        elif version == template.version:
            change = "unchanged" if mappings_of(found) == mappings_of(template.body) else "mended"
        else:
            change = "upgraded" if version < template.version else "downgraded"
        results.append(Installed(template.name, template.version, change))
    return tuple(results)


def logs_template_ready(client: Elasticsearch) -> bool:
    """Return whether the template for event indices is there, without which nothing may be sent."""
    with translated("looking for the index template"):
        return bool(client.indices.exists_index_template(name=LOGS))


_JSON = {"content-type": "application/json", "accept": "application/json"}


def _put(client: Elasticsearch, template: Template, *, create: bool) -> None:
    folder = "_component_template" if template.kind == "component" else "_index_template"
    target = f"/{folder}/{template.name}" + ("?create=true" if create else "")
    with translated(f"installing the index template {template.name}"):
        try:
            client.perform_request("PUT", target, body=template.body, headers=_JSON)
        except BadRequestError:
            if not create or _installed(client, template) is None:
                raise
            made = compare(client, (template,))[0].change
            if made != "unchanged":
                raise RetryableError(
                    f"the index template {template.name} was made by another meanwhile, and is to be {made}; "
                    "run `siemlite setup` again"
                ) from None


def mappings_of(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the mappings of a template's body."""
    return (template.get("template") or {}).get("mappings") or {}


def _installed(client: Elasticsearch, template: Template) -> Mapping[str, Any] | None:
    what = f"reading the index template {template.name}"
    with translated(what):
        try:
            if template.kind == "component":
                answer = client.cluster.get_component_template(name=template.name)
            else:
                answer = client.indices.get_index_template(name=template.name)
        except NotFoundError:
            return None
    return dict(part(what, answer, f"{template.kind}_templates", 0, f"{template.kind}_template"))


def taking_our_place(client: Elasticsearch, index: str) -> Sequence[str]:
    """Return the index templates that have the higher priority for an index called `index`, which ours is for."""
    what = "reading the index templates"
    with translated(what):
        templates = part(what, client.indices.get_index_template(), "index_templates")
    found = {entry["name"]: entry["index_template"] for entry in templates}
    ours = int((found.get(LOGS) or {}).get("priority") or 0)
    return sorted(
        name
        for name, template in found.items()
        if name != LOGS
        and int(template.get("priority") or 0) > ours
        and any(fnmatchcase(index, pattern) for pattern in _patterns(template))
    )


def _patterns(template: Mapping[str, Any]) -> Sequence[str]:
    patterns = template.get("index_patterns") or []
    return [patterns] if isinstance(patterns, str) else patterns
