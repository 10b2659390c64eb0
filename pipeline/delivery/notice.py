"""What a channel is given to say: plain values, redacted, and free of control characters.

Invariants: a notice carries nothing that redaction removed, whoever wrote the event; its texts hold no control
or invisible formatting characters. It is still text from outside: each channel escapes it for its own format.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.alerts.outbox import Action, Delivery
from pipeline.alerts.record import SIEMLITE, Alert, headline
from pipeline.delivery.kibana import Link, links
from pipeline.detection.timeline import Severity
from pipeline.engine.finding import Group
from pipeline.events.values import instant_text, printable

Clean = Callable[[str], str]
"""Redacts one text."""

_WORD = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*"?)+')
"""A word of an example, such as `user.id="a b"`: redacted by itself, so that none hides what stands behind it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about an alert. Instants are RFC 3339 text in UTC; `span` is what `first` and `last` are called.

    `delivery_id` is the same for every attempt of one message; `repeated` says that an earlier attempt may
    have gone through. `examples` are lines about the latest events when it opened, of a roll-up about its foremost
    alerts. `note` is what a person said on acknowledging or closing.
    """

    alert_id: str
    delivery_id: str
    action: Action
    severity: Severity
    title: str
    summary: str
    detection_id: str
    guide: str = ""
    group: Group = ()
    count: int = 0
    first: str = ""
    crossing: str = ""
    last: str = ""
    span: tuple[str, str] = ("First event", "Last event")
    state: str = ""
    attack: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    members: int = 0
    examples: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    drill: str | None = None
    by: str | None = None
    note: str = ""
    repeated: bool = False

    @property
    def heading(self) -> str:
        """Return the line that every channel begins with: `[SEVERITY] title`, and what happened to the alert."""
        prefix = f"[{self.severity.upper()}] "
        drill = "DRILL: " if self.drill is not None else ""
        return f"{prefix}{drill}{_LEAD[self.action]}{self.title}"


_LEAD = {
    Action.OPEN: "",
    Action.ESCALATE: "Escalated: ",
    Action.ACKNOWLEDGE: "Acknowledged: ",
    Action.RESOLVE: "Resolved: ",
}


def notice_of(
    alert: Alert, delivery: Delivery, *, clean: Clean = str, kibana_url: str | None = None, repeated: bool = False
) -> Notice:
    """Return what `delivery` has to say of `alert`."""

    def text(outside: str) -> str:
        return printable(clean(outside))

    alert = replace(alert, group=tuple((name, clean(value)) for name, value in alert.group))
    standing = {Action.ACKNOWLEDGE: alert.acknowledged, Action.RESOLVE: alert.closed}.get(delivery.action)
    return Notice(
        alert_id=alert.id,
        delivery_id=f"{alert.id}-{delivery.action.value}-{delivery.created_ms}",
        action=delivery.action,
        severity=alert.severity,
        title=text(alert.title),
        summary=printable(headline(alert, clean)),
        detection_id=alert.detection_id,
        guide="\n".join(text(line) for line in alert.guide.splitlines()),
        group=tuple((name, printable(value)) for name, value in alert.group),
        count=alert.count,
        first=instant_text(alert.episode.first_ms),
        crossing=instant_text(alert.episode.crossing_ms),
        last=instant_text(alert.episode.last_ms),
        span=alert.span,
        state=alert.state,
        attack=alert.attack,
        tags=alert.tags,
        members=alert.members_total,
        examples=tuple(printable(_WORD.sub(lambda word: clean(word[0]), example)) for example in alert.examples),
        links=links(alert, kibana_url),
        drill=alert.drill,
        by=None if standing is None or standing.by == SIEMLITE else text(standing.by),
        note="" if standing is None else text(standing.note),
        repeated=repeated,
    )
