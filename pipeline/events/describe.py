"""What the catalogue knows of an event's code, and the names of levels."""

from pipeline.events.catalogue import BY_CODE
from pipeline.events.fields import LEVEL_NAMES
from pipeline.events.metadata import Plain

_LEVEL_CACHE_MAX = 100
_levels: dict[str, str] = {}

_NO_KIND: dict[str, Plain] = {"kind": "event"}
_KINDS: dict[str, dict[str, Plain]] = {
    kind.code: {"kind": "event", "action": kind.action, "category": kind.category, "type": kind.type}
    | ({} if kind.outcome is None else {"outcome": kind.outcome})
    for kind in BY_CODE.values()
}


def describe(body: dict[str, Plain]) -> str:
    """Add what the catalogue knows of the event's code; return the level."""
    event = body["event"]
    code = event.get("code")
    kind = BY_CODE.get(code) if type(code) is str else None
    body["event"] = {**(_NO_KIND if kind is None else _KINDS[kind.code]), **event}
    log = body.setdefault("log", {})
    level = log.get("level")
    if type(level) is not str:
        level = kind.level if kind is not None else "info"
    log["level"] = level = level_of(level)
    return level


def level_of(word: str) -> str:
    """Return a level by the name that it has in documents."""
    return _levels.get(word) or _level(word)


def _level(word: str) -> str:
    level = LEVEL_NAMES.get(word.lower(), word.lower())
    if len(_levels) < _LEVEL_CACHE_MAX:
        _levels[word] = level
    return level
