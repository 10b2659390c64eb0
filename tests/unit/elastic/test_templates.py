"""The index templates as files."""

from typing import Any

from pipeline.elastic.templates import shipped
from pipeline.events.fields import FIELDS, OWN_FIELDS


def _leaves(properties: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, mapping in properties.items():
        if "properties" in mapping:
            found |= _leaves(mapping["properties"], f"{prefix}{name}.")
        else:
            found[prefix + name] = mapping["type"]
    return found


def test_the_mapping_holds_exactly_the_fields_that_documents_have() -> None:
    body = next(template.body for template in shipped() if template.name == "security-logs@mappings")
    mappings = body["template"]["mappings"]
    mapped = _leaves(mappings["properties"])
    assert mappings["properties"]["siemlite"]["properties"]["number"]["dynamic"] is True
    assert mapped == FIELDS | OWN_FIELDS
    assert mappings["dynamic"] is False


def test_every_template_has_a_version_and_says_who_manages_it() -> None:
    assert all(template.version >= 1 and "description" in template.body["_meta"] for template in shipped())
