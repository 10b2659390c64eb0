"""Metadata that has no field of its own: in a form that a `flattened` field accepts.

Invariants: the same key has the same clean form; what is clean already is not copied.
"""

from typing import Any

from pipeline.events import values
from pipeline.events.fields import DATA_KEY_MAX, DATA_LEAF_MAX

Plain = Any
"""A JSON-safe tree: dicts with text keys, lists, text, numbers, booleans and None."""

_KEY_CACHE_MAX = 20_000
_SCALARS = frozenset({int, float, bool})
_clean_keys: dict[str, str] = {}


def clean_key(key: str) -> str:
    """Return `key` in a form that a `flattened` field accepts, the same for the same key."""
    clean = _clean_keys.get(key)
    if clean is None:
        clean = _clean(key)
        if len(_clean_keys) >= _KEY_CACHE_MAX:
            _clean_keys.clear()
        if len(key) <= DATA_KEY_MAX:
            _clean_keys[key] = clean
    return clean


def _clean(key: str) -> str:
    parts = [part for part in key.replace("\0", "\ufffd").split(".") if part.strip()]
    return values.shortened(".".join(parts) or "_", DATA_KEY_MAX)


def clean_tree(value: Plain) -> Plain:
    """Return metadata with every key clean and every long text shortened; unchanged trees are not copied."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= DATA_LEAF_MAX else values.shortened(value, DATA_LEAF_MAX)
    if kind is dict:
        return _clean_dict(value)
    if kind is list:
        return [clean_tree(item) for item in value]
    return value


def _clean_dict(tree: dict[str, Plain]) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key, value in tree.items():
        name = _clean_keys.get(key) or clean_key(key)
        if name in result:
            name = values.unused(name, result)
        kind = type(value)
        if kind is str and len(value) <= DATA_LEAF_MAX:
            result[name] = value
        else:
            result[name] = value if kind in _SCALARS else clean_tree(value)
    return result
