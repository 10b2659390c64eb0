"""From any value to a JSON-safe tree in which nothing under a sensitive name is left.

Invariants of `Plainer.plain`:
- The result consists of exact `dict` with `str` keys, `list`, `str`, `int` of 64 bits, finite `float`, `bool`
  and `None`; `orjson.dumps` accepts it. Order is kept. Keys are not cleaned for Elasticsearch.
- The input is never changed. Sub-trees that need no change are shared with it, not copied.
- It ends and does not raise, whatever it is given: below `MAX_DEPTH`, and beyond `MAX_ITEMS` items or
  `MAX_OBJECTS` objects, the remainder is `TRUNCATED`; a container within itself is `CYCLE`.
"""

from collections.abc import Callable
from typing import Any

from pipeline.events.redaction.names import LOCATION, LONG_KEY, NAME_SLOTS, PLAIN, SENSITIVE, VALUE_SLOTS, Names
from pipeline.events.redaction.objects import LONG_MAX, LONG_MIN, Fields, ObjectReader, real_number, whole_number
from pipeline.events.values import unused

MARKER = "[REDACTED]"
TRUNCATED = "[TRUNCATED]"
CYCLE = "[CYCLE]"

MAX_DEPTH = 16
"""Containers within containers; Elasticsearch's `flattened` accepts 20, of which the document takes some."""

MAX_ITEMS = 300_000
"""Items of all containers together, those that are reached twice counted twice."""

MAX_OBJECTS = 1_000
"""Objects with fields: who passes a request object does not want the application's whole graph of objects."""

LONG_TEXT = 1_000
"""Characters from which a text is searched for secrets at once: the shape of a document shortens long values,
and a secret cut in the middle could no longer be recognised."""

Plain = Any
"""A JSON-safe tree."""

_NAME_MAX = 100
_INPUT_SLOTS = frozenset({"input", "ctx"})
_HEADER_NAMES = frozenset({"authorization", "cookie"})


class _Budget:
    """What a call may still visit."""

    __slots__ = ("items", "objects")

    def __init__(self) -> None:
        self.items = MAX_ITEMS
        self.objects = MAX_OBJECTS


_Above = tuple[object, ...]
"""The budget, then the containers that the current one is in, outermost first."""


class Plainer:
    """Makes trees plain. `redact_text` is applied to texts of `LONG_TEXT` characters and more."""

    __slots__ = ("_names", "_reader", "_redact_text", "_verdicts")

    def __init__(self, names: Names, redact_text: Callable[[str], str]) -> None:
        self._names = names
        self._verdicts = names.verdicts
        self._redact_text = redact_text
        self._reader = ObjectReader(names.is_sensitive, MARKER)

    def plain(self, value: object) -> Plain:
        """Return `value` as a JSON-safe tree without what stands under sensitive names."""
        budget = _Budget()
        if type(value) is dict:
            return self._dict(value, (budget,))
        return self._any(value, (budget,))

    def nested(self, value: object, containers: tuple[object, ...]) -> Plain:
        """Return as `plain` a value that stands within `containers`, the outermost first."""
        return self._any(value, (_Budget(), *containers))

    def _dict(self, tree: dict[Any, Any], above: _Above) -> Plain:
        if len(above) > MAX_DEPTH or not _afford(above, len(tree)):
            return TRUNCATED
        verdicts = self._verdicts
        out: dict[str, Any] | None = None
        inner = (*above, tree)
        try:
            for key, value in tree.items():
                if type(key) is not str:
                    return self._rebuilt(tree, above)
                verdict = verdicts[key]
                if verdict:
                    if verdict != SENSITIVE or not (key.isascii() or encodable(key) is key):
                        return self._rebuilt(tree, above)
                    if out is None:
                        out = tree.copy()
                    out[key] = MARKER
                    continue
                kind = type(value)
                if kind is str:
                    if len(value) < LONG_TEXT and value.isascii():
                        continue
                    new: object = self._str(value)
                elif kind is dict:
                    new = CYCLE if _within(value, inner) else self._dict(value, inner)
                elif kind is bool or value is None:
                    continue
                elif kind is int:
                    if LONG_MIN <= value <= LONG_MAX:
                        continue
                    new = whole_number(value)
                else:
                    new = self._any(value, inner)
                if new is not value:
                    if out is None:
                        out = tree.copy()
                    out[key] = new
        except RuntimeError:  # changed by another thread while it was being read
            return self._rebuilt(tree, above)
        return tree if out is None else out

    def _rebuilt(self, tree: dict[Any, Any], above: _Above) -> Plain:
        """Make plain a dict with keys that are no text, or that need a look at what stands around them."""
        out: dict[str, Any] = {}
        inner = (*above, tree)
        refused = self._refuses_a_secret(tree)
        for key, value in tree.copy().items():
            name = self._key(key)
            verdict = self._verdicts[key if type(key) is str else name]
            name = unused(name, out)
            if verdict == PLAIN:
                out[name] = MARKER if refused and name in _INPUT_SLOTS else self._any(value, inner)
            elif verdict == SENSITIVE or (name.casefold() in VALUE_SLOTS and self._names_a_secret(tree)):
                out[name] = MARKER
            else:
                new = self._any(value, inner)
                out[name] = self._completed(name, new) if type(new) is dict and self._names.opens(name) else new
        return out

    def _names_a_secret(self, tree: dict[Any, Any]) -> bool:
        """Return whether an object such as `{"name": "Authorization", "value": …}` says it holds a secret."""
        for key, value in tree.copy().items():
            if self._key(key).casefold() in NAME_SLOTS:
                word = self._name_of(value)
                if word is not None and self._names.is_sensitive(word):
                    return True
        return False

    def _refuses_a_secret(self, tree: dict[Any, Any]) -> bool:
        """Return whether a validation error such as `{"loc": ("body", "password"), …}` is about a secret."""
        for key, value in tree.copy().items():
            if self._key(key) == LOCATION:
                steps = value if isinstance(value, list | tuple) else (value,)
                words = [word for word in map(self._name_of, steps) if word is not None]
                return any(map(self._names.is_sensitive, [*words, "_".join(words)]))
        return False

    def _completed(self, opener: str, tree: dict[str, Any]) -> dict[str, Any]:
        """Redact what completes a fragment: the `key` in `{"api": {"key": …}}`."""
        items = tree.copy().items()  # it may be the application's own, and another thread may change it
        return {key: MARKER if self._verdicts[f"{opener}_{key}"] == SENSITIVE else value for key, value in items}

    def _list(self, items: list[Any] | tuple[Any, ...], above: _Above) -> Plain:
        if len(above) > MAX_DEPTH or not _afford(above, len(items)):
            return TRUNCATED
        inner = (*above, items)
        out = []
        changed = type(items) is not list
        texts = 0
        for value in items:
            kind = type(value)
            if kind is str:
                texts += 1
                new: object = value if len(value) < LONG_TEXT and value.isascii() else self._str(value)
            elif (kind is list or kind is tuple) and len(value) in (2, 3) and self._is_secret_pair(value):
                new = [self._any(value[0], inner), *[MARKER] * (len(value) - 1)]
            else:
                new = self._any(value, inner)
            if new is not value:
                changed = True
            out.append(new)
        if texts > 1:
            changed = self._hide_neighbours(out, kind_is_tuple=type(items) is tuple) or changed
        return out if changed else items

    def _is_secret_pair(self, pair: list[Any] | tuple[Any, ...]) -> bool:
        word = self._name_of(pair[0])
        return word is not None and len(word) <= _NAME_MAX and " " not in word and self._verdicts[word] == SENSITIVE

    def _hide_neighbours(self, items: list[Any], *, kind_is_tuple: bool) -> bool:
        """Redact what follows a name in a flat list: raw headers, a pair alone, command-line arguments."""
        changed = False
        even = len(items) % 2 == 0
        for at, value in enumerate(items[:-1]):
            if type(value) is not str or len(value) > _NAME_MAX or "=" in value or " " in value:
                continue
            option = value.startswith("-")
            header = even and at % 2 == 0 and ("-" in value or value.casefold() in _HEADER_NAMES)
            pair = kind_is_tuple and len(items) == 2
            if (option or header or pair) and self._verdicts[value] == SENSITIVE and items[at + 1] is not MARKER:
                items[at + 1] = MARKER
                changed = True
        return changed

    def _any(self, value: object, above: _Above) -> Plain:
        kind = type(value)
        if kind is str:
            return self._str(value)  # type: ignore[arg-type]
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if LONG_MIN <= value <= LONG_MAX else whole_number(value)  # type: ignore[operator, arg-type]
        if kind is float:
            return value if value - value == 0.0 else real_number(value)  # type: ignore[operator, arg-type]
        if _within(value, above):
            return CYCLE
        if kind is dict:
            return self._dict(value, above)  # type: ignore[arg-type]
        if kind is list or kind is tuple:
            return self._list(value, above)  # type: ignore[arg-type]
        return self._object(value, above)

    def _object(self, value: object, above: _Above) -> Plain:
        if len(above) > MAX_DEPTH:
            return TRUNCATED
        read = self._reader.read(value)
        if type(read) is str:
            return read if read is MARKER else self._str(read)
        inner = (*above, value)
        if type(read) is Fields:
            budget = above[0]
            assert isinstance(budget, _Budget)  # noqa: S101 - for the type checker
            budget.objects -= 1
            return TRUNCATED if budget.objects < 0 else self._dict(read.by_name, inner)
        return self._any(read, inner)  # What an object stood for, as an enumeration's member, can be anything.

    def _key(self, key: object) -> str:
        if type(key) is not str:
            if type(key) is tuple:
                return " ".join(self._key(part) for part in key)[:LONG_TEXT] if len(key) < MAX_DEPTH else "<tuple>"
            read = self._reader.read(key) if not isinstance(key, bool) and key is not None else key
            key = read if type(read) is str else str(read) if type(read) in (bool, int, float, type(None)) else None
            if key is None:
                return "<key>"
        clean = key if key.isascii() else encodable(key)
        return clean if len(clean) < LONG_KEY else self._redact_text(clean)

    def _name_of(self, value: object) -> str | None:
        if isinstance(value, str | bytes | bytearray):
            read = self._reader.read(value)
            return read if type(read) is str else None
        return None

    def _str(self, value: str) -> str:
        clean = value if value.isascii() else encodable(value)
        return self._redact_text(clean) if len(clean) >= LONG_TEXT else clean


def encodable(value: str) -> str:
    """Return `value` with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _within(value: object, above: _Above) -> bool:
    return any(container is value for container in above)


def _afford(above: _Above, items: int) -> bool:
    budget = above[0]
    budget.items -= items + 1  # type: ignore[attr-defined]
    return budget.items >= 0  # type: ignore[attr-defined,no-any-return]
