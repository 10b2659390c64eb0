"""Which conditions fit which fields, by the types that siemlite's own fields have; of others only the indices know.

Invariant: what is refused could never be answered truthfully: Elasticsearch refuses it, or takes it for something else.
"""

from collections.abc import Sequence

from pipeline.detection.conditions import Cidr, Contains, Inverse, OneOf, Phrase, Prefix, Range, Test
from pipeline.errors import ConfigurationError
from pipeline.events.fields import FIELDS, OWN_FIELDS

METADATA = "siemlite.data."
NUMBERS = "siemlite.number."


def refuse_unfit(name: str, test: Test) -> None:
    """Raise `ConfigurationError`, with the repair, where no `test` of this sort can be answered about the field."""
    while isinstance(test, Inverse):
        test = test.test
    if name.startswith(METADATA):
        _of_metadata(name, test)
        return
    kind = "double" if name.startswith(NUMBERS) else FIELDS.get(name) or OWN_FIELDS.get(name)
    if kind is None:
        return
    if kind == "text" and isinstance(test, OneOf | Prefix | Contains):
        raise ConfigurationError(
            f"{name} is text, of which Elasticsearch knows the words; use phrase({_listed(test.values)}), which fits "
            "where they follow one another"
        )
    if kind != "text" and isinstance(test, Phrase):
        raise ConfigurationError(f"phrase(…) looks for words of a text such as message; use contains(…) for {name}")
    if kind not in ("keyword", "text") and isinstance(test, Prefix | Contains):
        raise ConfigurationError(f"{name} is of type {kind}, of which no part can be looked for; {_instead(kind)}")


def _of_metadata(name: str, test: Test) -> None:
    """Metadata is text to Elasticsearch, where 9 would lie beyond 10, and looked up as a whole or by its beginning."""
    if isinstance(test, Range):
        number = name.removeprefix(METADATA)
        raise ConfigurationError(
            "metadata is text and cannot be compared as a number; name "
            f"{number} in SIEMLITE_MEASURE and use {NUMBERS}{number}"
        )
    if isinstance(test, Cidr):
        raise ConfigurationError("metadata is text and no address; log it as `ip` and use source.ip")
    if isinstance(test, Contains | Phrase):
        raise ConfigurationError(
            "Elasticsearch does not look within metadata; use prefix(…), or a Custom whose function looks at the value"
        )


def _listed(values: Sequence[object]) -> str:
    return ", ".join(repr(str(value)) for value in values[:5])


def _instead(kind: str) -> str:
    return {"ip": "use cidr(…)", "flattened": f"name what is in it, such as {METADATA}NAME"}.get(
        kind, "give a value, or between(…)"
    )
