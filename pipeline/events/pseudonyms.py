"""Replacing what names a person by a keyed hash that still groups and joins.

Invariant: what came under the name of a hidden field, under another name of it or below it, is in clear
neither in that field nor among the metadata, where values go that find their field taken or do not fit it.
What other fields, the message above all, say of the same person stays.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.errors import ConfigurationError
from pipeline.events.fields import ALIASES, FIELDS, GEO_ALIASES, PATHS
from pipeline.events.metadata import Plain

_ADDRESS = "source.address"
_GEO_PREFIX = "geoLocation."


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """`hashed` takes the name of one of `fields` and a value, and returns what takes its place."""

    fields: tuple[str, ...]
    hashed: Callable[[str, str], str]

    @classmethod
    def of(cls, names: Iterable[str], hashed: Callable[[str, str], str]) -> "Pseudonyms":
        """Return the pseudonyms of the fields `names`, each by any of its names; raises `ConfigurationError`."""
        return cls(tuple(dict.fromkeys(map(_hideable, names))), hashed)

    def hide(self, body: dict[str, Plain], *, account_made_of: str | None) -> None:
        """Replace the values of the fields in `body`; `account_made_of` is the field that gave `user.id` its value."""
        for name in self.fields:
            self._replace(body, name)
        if account_made_of in self.fields and "user.id" not in self.fields:
            self._replace(body, "user.id")

    def metadata(self, key: str, value: Plain) -> Plain:
        """Return what is kept in place of `value`, which came as `key` and has no place in a field of its own."""
        name = self.field_of(key)
        return value if name is None else self._each(name, value)

    def field_of(self, key: str) -> str | None:
        """Return the hidden field that `key` is a name of, or lies below, if any."""
        name = _field(key)
        for hidden in self.fields:
            if name == hidden or name.startswith(f"{hidden}."):
                return hidden
        return None

    def _replace(self, body: dict[str, Plain], name: str) -> None:
        *branches, leaf = PATHS[name]
        place: Plain = body
        for step in branches:
            place = place.get(step)
            if not isinstance(place, dict):
                return
        if leaf in place:
            place[leaf] = self._each(name, place[leaf])
        if name == _ADDRESS:
            place.pop("ip", None)

    def _each(self, name: str, value: Plain) -> Plain:
        if value is None:
            return None
        if isinstance(value, dict):
            return {key: self._each(name, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._each(name, item) for item in value]
        return self.hashed(name, str(value))


def _field(key: str) -> str:
    """Return the name of the field that values of `key` belong to."""
    name = ALIASES.get(key, key)
    if key.startswith(_GEO_PREFIX):
        name = GEO_ALIASES.get(key.removeprefix(_GEO_PREFIX), key)
    return _ADDRESS if f"{name}.".startswith("source.ip.") else name


def _hideable(word: str) -> str:
    name = _field(word)
    if FIELDS.get(name) == "keyword":
        return name
    words = [*(field for field, kind in FIELDS.items() if kind == "keyword"), *ALIASES]
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.0)[0]
    raise ConfigurationError(
        f"SIEMLITE_PSEUDONYMISE: {word!r} is no field whose values can be replaced; did you mean {near}?"
    )
