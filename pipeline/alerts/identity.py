"""The ids of alerts: the same finding always has the same id, whoever raises it.

Invariant: an id is a hash of (detection, group, drill, episode number) in an encoding that no two different
tuples share, so that an attacker's group value cannot imitate another group's.
"""

import hashlib

import orjson

from pipeline.engine.finding import Group

_CHARACTERS = 32


def episode_key(detection_id: str, group: Group, drill: str | None = None) -> str:
    """Return the key that all episodes of one group under one detection share."""
    return _digest("episodes", detection_id, [list(pair) for pair in group], drill)


def alert_id(key: str, number: int) -> str:
    """Return the id of the episode `number` of the group with the episode key `key`."""
    return _digest("alert", key, number)


def rollup_id(reason: str, members: tuple[str, ...]) -> str:
    """Return the id of the roll-up of exactly these alerts."""
    return _digest("rollup", reason, sorted(members))


def _digest(*parts: object) -> str:
    try:
        encoded = orjson.dumps(parts)
    except TypeError:  # a lone surrogate, which JSON text may carry as an escape
        encoded = repr(parts).encode("ascii", "backslashreplace")
    return hashlib.sha256(encoded).hexdigest()[:_CHARACTERS]
