"""The walk of the second opinion over documents, into JSON within texts, down to each text and number.

Invariants: pairs of an object stay pairs, so that no key hides another; a `Leak` never holds the secret or any part
of it, nor a key that could be one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.events.leaks.marks import LEFT_OUT
from pipeline.events.leaks.named import named_values
from pipeline.events.leaks.names import NAME_CHARACTERS, NAME_MAX, is_secret_name
from pipeline.events.leaks.numbers import is_card, numbers_in
from pipeline.events.leaks.tokens import tokens_in

_NESTING_MAX = 6
_DEPTH_MAX = 64
_PATH_MAX = 200
_TOKEN_MIN, _NUMBER_MIN = 14, 11


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that got through: what `kind` it is, the `path` of its value, the `offset` in it in characters."""

    kind: str
    path: str
    offset: int


def find_leaks(encoded: bytes) -> tuple[Leak, ...]:
    """Return the leaks in `encoded`: JSON documents, one a line, or lines of text."""
    found: list[Leak] = []
    for line in encoded.split(b"\n"):
        if line.strip():
            found.extend(_in_line(line.decode("utf-8", "replace")))
    return tuple(dict.fromkeys(found))


def _in_line(line: str) -> Iterator[Leak]:
    tree = _parsed(line)
    if tree is None:
        yield from _in_text(line, "")
    else:
        yield from _in_tree(tree, "", 0, 0)


def _parsed(text: str) -> object:
    """Return the object or list that `text` is in JSON, or None. Pairs stay pairs: no key hides another."""
    try:
        tree: object = json.loads(text, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, list) else None


class _Members(list[tuple[str, object]]):
    """The members of a JSON object, in order."""


def _in_tree(tree: object, path: str, depth: int, nesting: int) -> Iterator[Leak]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(tree, _Members):
        yield from _in_members(tree, path, depth, nesting)
    elif isinstance(tree, list):
        yield from _in_list(tree, path, depth, nesting)
    elif isinstance(tree, str):
        yield from _in_string(tree, path, nesting)
    elif isinstance(tree, int) and not isinstance(tree, bool) and is_card(str(tree)):
        yield Leak("card_number", path, 0)


def _in_members(members: _Members, path: str, depth: int, nesting: int) -> Iterator[Leak]:
    label = next((value for key, value in members if key.lower() in ("name", "key", "header")), None)
    labelled = isinstance(label, str) and is_secret_name(label)
    for key, value in members:
        place = f"{path}.{_shown(key)}" if path else _shown(key)
        place = place[-_PATH_MAX:]
        hidden = isinstance(value, str) and value in LEFT_OUT
        if (is_secret_name(key) or (labelled and key.lower() == "value")) and not hidden:
            yield Leak("named_secret", place, 0)
            continue
        yield from _in_text(key, place)
        yield from _in_tree(value, place, depth + 1, nesting)


def _in_list(items: list[object], path: str, depth: int, nesting: int) -> Iterator[Leak]:
    for at, item in enumerate(items):
        place = f"{path}[{at}]"[-_PATH_MAX:]
        if isinstance(item, list) and not isinstance(item, _Members) and len(item) == 2:
            name, value = item
            if isinstance(name, str) and is_secret_name(name) and isinstance(value, str) and value not in LEFT_OUT:
                yield Leak("named_secret", place, 0)
                continue
        yield from _in_tree(item, place, depth + 1, nesting)


def _in_string(text: str, path: str, nesting: int) -> Iterator[Leak]:
    tree = _parsed(text) if text[:1] in ("{", "[") and nesting < _NESTING_MAX else None
    if tree is None:
        yield from _in_text(text, path)
    else:
        yield from _in_tree(tree, path, 0, nesting + 1)


def _shown(key: str) -> str:
    """Return a key for a path; one that is no plain name might itself hold a secret and is not shown."""
    plain = len(key) <= NAME_MAX and all(character in NAME_CHARACTERS for character in key)
    return key if plain and not any(tokens_in(key)) and not any(True for _ in numbers_in(key)) else "?"


def _in_text(text: str, path: str) -> Iterator[Leak]:
    if len(text) >= _TOKEN_MIN:
        for at, kind in tokens_in(text):
            yield Leak(kind, path, at)
    if len(text) >= _NUMBER_MIN:
        for at, kind in numbers_in(text):
            yield Leak(kind, path, at)
    begin = text.find("-----BEGIN ")
    if begin >= 0 and "PRIVATE KEY" in text[begin : begin + 60]:
        yield Leak("private_key", path, begin)
    if "=" in text or ":" in text or ">" in text or "-" in text:
        for at in named_values(text):
            yield Leak("named_secret", path, at)
