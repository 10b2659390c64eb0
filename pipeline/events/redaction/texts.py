"""Redaction within values: of a text, and of all texts and numbers of a plain tree.

A text that is JSON is taken apart and treated like an event, again and again for JSON within JSON; any other
text, broken JSON included, is searched as it stands. Invariants: a tree or text without a secret is returned
as it is, not as a copy; the input is never changed; redacting twice changes nothing more.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

from pipeline.events.redaction.cards import is_card, redact_cards, redact_ssns
from pipeline.events.redaction.commands import redact_commands
from pipeline.events.redaction.inputs import Inputs
from pipeline.events.redaction.pairs import Pairs
from pipeline.events.redaction.plain import MAX_DEPTH as PLAIN_DEPTH
from pipeline.events.redaction.rows import redact_rows
from pipeline.events.redaction.shapes import redact_key_blocks, redact_shapes, redact_userinfo
from pipeline.events.redaction.structural import is_structural
from pipeline.events.values import unused

MAX_NESTING = 8
"""How often JSON within JSON is taken apart; below, its text is searched as it stands."""

MAX_DEPTH = 64
"""Containers within containers that `values` walks; documents have fewer."""

SHORTEST = 5
"""Characters of the shortest text that can hold a name and a secret: `pw=xy`."""

_CACHE_MAX = 20_000
_CACHED_KEY_MAX = 200
_REMEMBERED_MAX = 200
_SHAPE_MIN = 11
"""Characters of the shortest secret that is known by its shape: `Bearer` and a token."""

_NINE_DIGITS = re.compile(r"[0-9](?:[ \-+\xa0\u2009\u202f]?[0-9]){8}")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]]', re.DOTALL)
_CARD_MIN, _CARD_MAX = 10**12, 10**19
_JSON_ENDS = {"{": "}", "[": "]", '"': '"'}


class Texts:
    """Redacts texts and the values of trees. `plain` redacts the keys of what JSON in a text holds."""

    __slots__ = ("_harmless", "_inputs", "_is_sensitive", "_marker", "_pairs", "_plain", "_safe_keys", "_truncated")

    def __init__(
        self, is_sensitive: Callable[[str], bool], plain: Callable[[object], Any], marker: str, truncated: str
    ) -> None:
        self._is_sensitive = is_sensitive
        self._inputs = Inputs(is_sensitive, marker)
        self._pairs = Pairs(is_sensitive, marker)
        self._plain = plain
        self._marker = marker
        self._truncated = truncated
        self._safe_keys: set[str] = set()
        self._harmless: set[str] = set()

    def text(self, text: str) -> str:
        """Return `text` with the secrets in it replaced."""
        return self._text(text, 0)

    def values(self, tree: Any) -> Any:
        """Return the plain `tree` with the secrets in its keys and values replaced."""
        return self._tree(tree, "", 0, 0)

    def _text(self, text: str, nesting: int) -> str:
        if text and nesting < MAX_NESTING and (text[0] in _JSON_ENDS or text[0].isspace()):
            stripped = text.strip()
            if stripped and _JSON_ENDS.get(stripped[0]) == stripped[-1] and len(stripped) > 2:
                redacted = self._json(stripped, nesting + 1)
                if redacted is not None:
                    return text if redacted is stripped else redacted
        return self._searched(text)

    def _json(self, text: str, nesting: int) -> str | None:
        if _is_deep(text):
            return None
        try:
            tree = orjson.loads(text)
        except ValueError:
            return None
        redacted = self._tree(self._plain(tree), "", 0, nesting)
        if (redacted is tree or redacted == tree) and not _repeats_members(text):
            return text
        return orjson.dumps(redacted).decode()

    def _searched(self, text: str) -> str:
        marker = self._marker
        if "-----BEGIN" in text:
            text = redact_key_blocks(text, marker)
        if "://" in text:
            text = redact_userinfo(text, marker)
        if "-" in text:
            text = redact_commands(text, marker, self._is_sensitive)
        text = self._pairs.redact(self._inputs.redact(redact_rows(text, marker, self._is_sensitive)))
        if len(text) >= _SHAPE_MIN:
            text = redact_shapes(text, marker)
        if _NINE_DIGITS.search(text) is not None:
            text = redact_ssns(redact_cards(text, marker), marker)
        return text

    def _tree(self, value: Any, name: str, depth: int, nesting: int) -> Any:
        kind = type(value)
        if kind is str:
            if len(value) < SHORTEST or value in self._harmless or is_structural(name, value):
                return value
            new = self._text(value, nesting)
            if new != value:
                return new
            if nesting == 0 and len(value) <= _REMEMBERED_MAX:
                if len(self._harmless) >= _CACHE_MAX:
                    self._harmless.clear()
                self._harmless.add(value)
            return value
        if kind is dict:
            return self._dict(value, name, depth + 1, nesting)
        if kind is list or kind is tuple:
            return self._list(value, name, depth + 1, nesting)
        if (kind is int or kind is float) and _CARD_MIN <= value < _CARD_MAX and is_card(f"{value:.0f}"):
            return self._marker
        return value

    def _dict(self, tree: dict[str, Any], name: str, depth: int, nesting: int) -> Any:
        if depth > MAX_DEPTH:
            return self._truncated
        out: dict[str, Any] | None = None
        for key, value in tree.items():
            new = self._tree(value, f"{name}.{key}" if name else key, depth, nesting)
            if new is not value:
                if out is None:
                    out = tree.copy()
                out[key] = new
        result = tree if out is None else out
        safe = self._safe_keys
        for key in tree:
            if key not in safe and not self._is_safe_key(key):
                return self._with_safe_keys(result)
        return result

    def _is_safe_key(self, key: str) -> bool:
        """Return whether there is no secret in `key` itself; remembered for keys that are safe."""
        if self._searched(key) != key:
            return False
        if len(key) <= _CACHED_KEY_MAX:
            if len(self._safe_keys) >= _CACHE_MAX:
                self._safe_keys.clear()
            self._safe_keys.add(key)
        return True

    def _with_safe_keys(self, tree: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in tree.items():
            out[unused(self._searched(key), out)] = value
        return out

    def _list(self, items: Any, name: str, depth: int, nesting: int) -> Any:
        if depth > MAX_DEPTH:
            return self._truncated
        new = [self._tree(item, name, depth, nesting) for item in items]
        return items if all(a is b for a, b in zip(new, items, strict=True)) else new


def _is_deep(text: str) -> bool:
    """Return whether JSON in `text` has more levels than a plain tree keeps; it is searched as it stands then."""
    if text.count("{") + text.count("[") <= PLAIN_DEPTH:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        mark = found[0]
        if mark in "{[":
            depth += 1
            if depth > PLAIN_DEPTH:
                return True
        elif mark in "}]":
            depth -= 1
    return False


def _repeats_members(text: str) -> bool:
    """Return whether an object in the JSON `text` has a member twice, of which a parser shows only the last."""

    def note(members: list[tuple[str, object]]) -> None:
        if len({name for name, _ in members}) < len(members):
            raise ValueError("a member stands twice")

    try:
        json.loads(text, object_pairs_hook=note)
    except ValueError:
        return True
    return False
