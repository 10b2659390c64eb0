"""What a pass of the engine hands to the alerts: a group and its crossings.

Invariant: a finding's crossings are exact and in time order, and hold every crossing of the group that
the pass's arrivals can have made or changed.
"""

from dataclasses import dataclass

from pipeline.detection.timeline import Crossing

Group = tuple[tuple[str, str], ...]
"""The group's fields and values in the order of `group_by`; empty where a detection does not group."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Crossings of one group under one detection; `drill` names the drill whose signed events made them."""

    detection_id: str
    group: Group
    crossings: tuple[Crossing, ...]
    drill: str | None = None


def group_text(group: Group) -> str:
    """Return a group for people to read."""
    return " ".join(f"{name}={value}" for name, value in group) or "all events"
