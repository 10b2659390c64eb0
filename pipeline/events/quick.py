"""The short way from a raw event to its document, for events that a parser made from few bytes.

Redaction by key and shaping take two walks over an event, because an application may hand over any object and
texts of any length. An event that was read from a short line holds neither, and nearly all are such: one walk
redacts and shapes them, with what is known of each key looked up once.

Invariant: `QuickShaper.shape` gives the very document that `Redactor.keys` and `Shaper.shape` give, or none;
whatever it has not been taught to judge by itself ends it, and the event takes the long way.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.events.document import Document, Shaper, Unfinished
from pipeline.events.fields import ALIASES, DATA_KEY_MAX, FIELDS, OURS, OURS_PREFIXES, PATHS, ROOTS
from pipeline.events.metadata import Plain, clean_key
from pipeline.events.redaction import MARKER, Redactor
from pipeline.events.redaction.names import PLAIN, SENSITIVE
from pipeline.events.redaction.objects import LONG_MAX, LONG_MIN

SHORT_BYTES = 1_000
"""Bytes below which no text in an event is long enough to be shortened, or searched before it is."""

_SHORT_ESCAPED = 200
_DEPTH_MAX = 8
_KEYS_MAX = 20_000
_INSTANT, _ADDRESS = 1, 2
_NEIGHBOUR_NAMES = frozenset({"authorization", "cookie"})


def is_short(line: bytes) -> bool:
    """Return whether an event that was parsed from `line` may take the short way.

    A byte that is not UTF-8 is told in up to five characters, so that other lines must be shorter still.
    """
    return len(line) < _SHORT_ESCAPED or (len(line) < SHORT_BYTES and line.isascii())


_NAMED = frozenset({*FIELDS, *ALIASES, *ROOTS, *OURS, "context", "numbers"})
_WORD_SLOTS: dict[str, tuple[str, str]] = {
    key: (PATHS[name][0], PATHS[name][1])
    for key, name in ({name: name for name in FIELDS} | ALIASES).items()
    if FIELDS.get(name) == "keyword" and len(PATHS[name]) == 2 and name != "source.address"
}
"""Where text goes whose key names a keyword field of two steps: nearly all there is."""


class _UnusualError(Exception):
    """The event needs the long way."""


class QuickShaper:
    """Redacts by key and shapes in one walk. Safe to share between threads."""

    __slots__ = ("_clean", "_hidden", "_nested", "_places", "_shaper", "_verdicts")

    def __init__(self, redactor: Redactor, shaper: Shaper) -> None:
        self._shaper = shaper
        self._verdicts = redactor.verdicts
        self._nested = redactor.nested
        self._places: dict[str, tuple[str, str] | str | int] = {}
        self._clean: dict[str, str] = {}
        self._hidden: dict[str, str] = {}

    def shape(self, event: Mapping[str, Any], event_id: str, received_ms: int, *, live: bool) -> Document | None:
        """Return what `Shaper.shape` returns, or `None` where the event needs the long way.

        `event` holds nothing but `dict` with text keys, `list`, `str`, `int`, `float`, `bool` and `None`, all
        texts together of less than `SHORT_BYTES` characters that UTF-8 can encode.
        """
        draft = Unfinished(event_id, self._shaper.pseudonyms)
        context = event.get("context")
        try:
            if type(context) is dict:
                self._walk(draft, event, (event,), "context")
                self._walk(draft, context, (event, context), None)
            else:
                self._walk(draft, event, (event,), None)
        except _UnusualError:
            return None
        return self._shaper.finish(draft, received_ms, live)

    def _walk(self, draft: Unfinished, tree: Mapping[str, Any], within: tuple[Any, ...], passed: str | None) -> None:
        body, data, places = draft.body, draft.data, self._places
        for key, value in tree.items():
            place = places.get(key)
            kind = type(value)
            if type(place) is tuple:
                if kind is str:
                    root, leaf = place
                    branch = body.get(root)
                    if branch is None:
                        body[root] = {leaf: value}
                        continue
                    if leaf not in branch:
                        branch[leaf] = value
                        continue
            elif type(place) is str:
                if kind is str:
                    if place not in data:
                        data[place] = value
                        continue
                elif value is not None and place not in data:
                    data[place] = self._metadata(kind, value, 1)
                    continue
            elif key == "message":
                if kind is str and "message" not in body:
                    body["message"] = value
                    continue
            elif key == passed:
                continue
            elif kind is str:
                if place == _ADDRESS:
                    self._shaper.place_address(draft, key, value)
                    continue
                if place == _INSTANT:
                    self._shaper.place_instant(draft, key, "@timestamp", value)
                    continue
            self._take(draft, key, value, within)

    def _take(self, draft: Unfinished, key: str, value: Plain, within: tuple[Any, ...]) -> None:
        """Put a value that no place is known for in its place."""
        verdict = self._verdicts[key]
        if verdict == SENSITIVE:
            value = MARKER
        elif verdict != PLAIN:
            raise _UnusualError
        elif type(value) is not str:
            value = self._nested(value, within)
        self._shaper.take(draft, key, value)
        if verdict == PLAIN:
            self._learn(key)

    def _learn(self, key: str) -> None:
        """Note where values of `key` go, which is not the name of a secret."""
        if len(self._places) >= _KEYS_MAX:
            self._places.clear()
        name = ALIASES.get(key, key)
        if key in _WORD_SLOTS:
            self._places[key] = _WORD_SLOTS[key]
        elif name == "@timestamp":
            self._places[key] = _INSTANT
        elif name in ("source.address", "source.ip"):
            self._places[key] = _ADDRESS
        elif _is_metadata(key) and key not in self._shaper.measured and not self._is_hidden(key):
            self._places[key] = clean_key(key)

    def _is_hidden(self, key: str) -> bool:
        pseudonyms = self._shaper.pseudonyms
        return pseudonyms is not None and pseudonyms.field_of(key) is not None

    def _metadata(self, kind: type, value: Any, depth: int) -> Plain:
        """Return a value for `siemlite.data`, redacted and with clean keys."""
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            if LONG_MIN <= value <= LONG_MAX:
                return value
        elif kind is float:
            if value - value == 0.0:
                return value
        elif depth < _DEPTH_MAX:
            if kind is dict:
                return self._object(value, depth)
            if kind is list:
                return self._list(value, depth)
        raise _UnusualError

    def _object(self, tree: dict[str, Any], depth: int) -> Plain:
        clean = self._clean
        out: dict[str, Plain] = {}
        for key, value in tree.items():
            name = clean.get(key)
            if name is None:
                name = self._hidden.get(key)
                sensitive = name is not None
                if name is None:
                    sensitive, name = self._judge(key)
                if sensitive:
                    out[name] = MARKER
                    continue
            kind = type(value)
            out[name] = value if kind is str else self._metadata(kind, value, depth + 1)
        if len(out) != len(tree):  # keys that are clean alike
            raise _UnusualError
        return out

    def _judge(self, key: str) -> tuple[bool, str]:
        """Return whether `key` is the name of a secret, and its clean form, and remember both."""
        verdict = self._verdicts[key]
        if verdict not in (PLAIN, SENSITIVE) or len(key) > DATA_KEY_MAX:
            raise _UnusualError
        known = self._hidden if verdict == SENSITIVE else self._clean
        if len(known) >= _KEYS_MAX:
            known.clear()
        known[key] = clean_key(key)
        return verdict == SENSITIVE, clean_key(key)

    def _list(self, items: list[Any], depth: int) -> Plain:
        """Return a list for `siemlite.data`; see `Plainer` for what may hide in one."""
        out: list[Plain] = []
        texts = 0
        names = False
        for value in items:
            kind = type(value)
            if kind is str:
                texts += 1
                names = names or "-" in value or value.casefold() in _NEIGHBOUR_NAMES
            elif kind is list:
                raise _UnusualError
            else:
                value = self._metadata(kind, value, depth + 1)  # noqa: PLW2901
            out.append(value)
        if names and texts > 1:  # one of them may be the name of a secret that follows
            raise _UnusualError
        return out


def _is_metadata(key: str) -> bool:
    """Return whether any value of `key` belongs to the metadata."""
    return key not in _NAMED and not key.startswith(OURS_PREFIXES) and len(key) <= DATA_KEY_MAX
