"""The outbox that every alert carries: which channel is owed which message. Pure.

Invariants: an entry is (channel, action, round) and is written together with the change it announces; one
channel's state says nothing of another's; nothing is owed to a channel that `routes` does not name; a channel
hears that an alert was acknowledged or is over only if it was told, or is being told, that it opened; a clock that
was wrong for a while holds nothing up once it is right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from pipeline.detection.timeline import Severity
from pipeline.events.values import instant, instant_text

LONGEST_WAIT_MS = 2 * 3_600_000
"""Longer than any retry waits: what seems to wait longer was written by a clock that has been set back since."""

LONGEST_CLAIM_MS = 600_000
"""The same for a claim."""


class Action(StrEnum):
    """What a channel is told of an alert."""

    OPEN = "open"
    ESCALATE = "escalate"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class DeliveryState(StrEnum):
    """How far a delivery is. `DEAD` was given up and can be retried by hand."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry of an outbox. Instants are milliseconds since the epoch."""

    channel: str
    action: Action
    created_ms: int
    next_attempt_ms: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    last_error: str | None = None
    sent_ms: int | None = None
    claimed_by: str | None = None
    claimed_until_ms: int | None = None

    @property
    def pending(self) -> bool:
        """Return whether it is still owed."""
        return self.state is DeliveryState.PENDING


@dataclass(frozen=True, slots=True)
class Subject:
    """What the choice of channels may depend on."""

    detection_id: str
    severity: Severity
    tags: tuple[str, ...] = ()
    drill: str | None = None


class Routes(Protocol):
    """Who is told of an alert; `pipeline.delivery.routing` has the real one."""

    def channels(self, subject: Subject) -> tuple[str, ...]:
        """Return the names of the channels that an alert goes to."""
        ...

    def understands(self, channel: str, action: Action) -> bool:
        """Return whether the channel has a message for `action`."""
        ...


Outbox = tuple[Delivery, ...]


def opened(routes: Routes, subject: Subject, now_ms: int) -> Outbox:
    """Return the outbox of a new alert."""
    return tuple(_entry(name, Action.OPEN, now_ms) for name in routes.channels(subject))


def escalated(outbox: Outbox, routes: Routes, subject: Subject, now_ms: int) -> Outbox:
    """Return the outbox after the severity rose: those who know hear of it, those who now should know are told."""
    told = _told(outbox)
    unsent = {d.channel for d in outbox if d.action is Action.OPEN and d.pending and d.attempts == 0}
    added = []
    for name in routes.channels(subject):
        if name not in told:
            added.append(_entry(name, Action.OPEN, now_ms))
        elif name not in unsent and routes.understands(name, Action.ESCALATE):
            added.append(_entry(name, Action.ESCALATE, now_ms))
    return (*outbox, *added)


def reopened(outbox: Outbox, routes: Routes, subject: Subject, now_ms: int) -> Outbox:
    """Return the outbox after an episode that had ended by itself went on: those who heard the end hear of it."""
    heard = {d.channel for d in outbox if d.action is Action.RESOLVE}
    told = _told(outbox)
    wanted = [name for name in routes.channels(subject) if name in heard or name not in told]
    return (*outbox, *(_entry(name, Action.OPEN, now_ms) for name in wanted))


def acknowledged(outbox: Outbox, routes: Routes, now_ms: int) -> Outbox:
    """Return the outbox after a person acknowledged the alert."""
    return _announced(outbox, routes, Action.ACKNOWLEDGE, now_ms)


def resolved(outbox: Outbox, routes: Routes, now_ms: int) -> Outbox:
    """Return the outbox after the alert was closed."""
    return _announced(outbox, routes, Action.RESOLVE, now_ms)


def retried(outbox: Outbox, now_ms: int) -> Outbox:
    """Return the outbox with everything that was given up owed again."""
    return tuple(
        Delivery(d.channel, d.action, now_ms, now_ms, last_error=d.last_error) if d.state is DeliveryState.DEAD else d
        for d in outbox
    )


def due(outbox: Outbox, channel: str, now_ms: int, owner: str | None = None) -> int | None:
    """Return the position of the entry that `channel` is owed next and may be tried now, by `owner` if one is named.

    Messages to one channel go in their order: none overtakes an earlier one that is still owed. What was never tried
    waits for nothing: it may have been written by a machine whose clock is ahead. A claim keeps all but its owner away.
    """
    for position, delivery in enumerate(outbox):
        if delivery.channel != channel or not delivery.pending:
            continue
        claimed = delivery.claimed_until_ms is not None and _ahead(delivery.claimed_until_ms, now_ms, LONGEST_CLAIM_MS)
        claimed = claimed and (owner is None or delivery.claimed_by != owner)
        waits = delivery.attempts > 0 and _ahead(delivery.next_attempt_ms, now_ms, LONGEST_WAIT_MS)
        return None if claimed or waits else position
    return None


def _ahead(until_ms: int, now_ms: int, longest_ms: int) -> bool:
    """Return whether `until_ms` is still to come, and no further away than it can be."""
    return now_ms < until_ms <= now_ms + longest_ms


def replaced(outbox: Outbox, position: int, delivery: Delivery) -> Outbox:
    """Return the outbox with another entry at `position`."""
    return (*outbox[:position], delivery, *outbox[position + 1 :])


def _announced(outbox: Outbox, routes: Routes, action: Action, now_ms: int) -> Outbox:
    names = [name for name in sorted(_told(outbox)) if routes.understands(name, action)]
    return (*outbox, *(_entry(name, action, now_ms) for name in names))


def _told(outbox: Outbox) -> set[str]:
    return {d.channel for d in outbox if d.action is Action.OPEN}


def _entry(channel: str, action: Action, now_ms: int) -> Delivery:
    return Delivery(channel, action, now_ms, now_ms)


def to_documents(outbox: Outbox) -> list[dict[str, Any]]:
    """Return the outbox as it is stored."""
    return [
        {
            "channel": d.channel,
            "action": d.action.value,
            "state": d.state.value,
            "attempts": d.attempts,
            "created": instant_text(d.created_ms),
            "next_attempt": instant_text(d.next_attempt_ms),
            "sent_at": None if d.sent_ms is None else instant_text(d.sent_ms),
            "last_error": d.last_error,
            "claimed_by": d.claimed_by,
            "claimed_until": None if d.claimed_until_ms is None else instant_text(d.claimed_until_ms),
        }
        for d in outbox
    ]


def from_documents(stored: Iterable[Mapping[str, Any]]) -> Outbox:
    """Return the outbox that `to_documents` stored. Raises `ValueError` or `KeyError` for anything else."""
    return tuple(
        Delivery(
            channel=str(entry["channel"]),
            action=Action(entry["action"]),
            created_ms=required_instant(entry["created"]),
            next_attempt_ms=required_instant(entry["next_attempt"]),
            state=DeliveryState(entry["state"]),
            attempts=int(entry["attempts"]),
            last_error=entry.get("last_error"),
            sent_ms=_optional_instant(entry.get("sent_at")),
            claimed_by=entry.get("claimed_by"),
            claimed_until_ms=_optional_instant(entry.get("claimed_until")),
        )
        for entry in stored
    )


def required_instant(value: object) -> int:
    """Return the instant that `value` names; raise `ValueError` where it names none."""
    found = instant(value)
    if found is None:
        raise ValueError(f"{value!r} is not an instant")
    return found.ms


def _optional_instant(value: object) -> int | None:
    return None if value is None else required_instant(value)


def released(delivery: Delivery) -> Delivery:
    """Return the entry without its claim."""
    return replace(delivery, claimed_by=None, claimed_until_ms=None)
