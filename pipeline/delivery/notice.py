"""What a channel is given to say: plain values, redacted, and free of control characters.

Invariants: a notice carries nothing that redaction removed, whoever wrote the event; its texts hold no control
or invisible formatting characters. It is still text from outside: each channel escapes it for its own format.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote

from pipeline.alerts.outbox import Action, Delivery
from pipeline.alerts.record import SIEMLITE, Alert, headline
from pipeline.detection.timeline import Severity
from pipeline.engine.finding import Group
from pipeline.events.values import instant_text, printable

Clean = Callable[[str], str]
"""Redacts one text."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to follow: a short label and an address."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One message about an alert. Instants are RFC 3339 text in UTC.

    `delivery_id` is the same for every attempt of one message; `repeated` says that an earlier attempt may
    have gone through. `note` is what a person said on acknowledging or closing.
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
        state=alert.state,
        attack=alert.attack,
        tags=alert.tags,
        members=alert.members_total,
        examples=tuple(text(example) for example in alert.examples),
        links=_links(alert, kibana_url),
        drill=alert.drill,
        by=None if standing is None or standing.by == SIEMLITE else text(standing.by),
        note="" if standing is None else text(standing.note),
        repeated=repeated,
    )


def _links(alert: Alert, kibana_url: str | None) -> tuple[Link, ...]:
    """Return links into Kibana's Discover: the alert, or a roll-up's members, and the events behind it."""
    if kibana_url is None:
        return ()
    root = kibana_url.rstrip("/")
    whole = "(from:now-15y,to:now)"
    if alert.is_rollup:
        query = f'siemlite.rollup.id: "{alert.id}" or event.id: "{alert.id}"'
        return (Link("Alerts", _discover(root, "security-alerts", query, whole)),)
    alert_link = Link("Alert", _discover(root, "security-alerts", f'event.id: "{alert.id}"', whole))
    if not alert.group:
        return (alert_link,)
    query = " and ".join(f'{name}: "{_kql(value)}"' for name, value in alert.group)
    first, last = instant_text(alert.episode.first_ms), instant_text(alert.episode.last_ms + 1)
    return (alert_link, Link("Events", _discover(root, "security-logs", query, f"(from:'{first}',to:'{last}')")))


def _discover(root: str, view: str, query: str, span: str) -> str:
    rison = query.replace("!", "!!").replace("'", "!'")
    app = f"(index:{view},query:(language:kuery,query:'{rison}'))"
    return f"{root}/app/discover#/?_g=(time:{quote(span, safe='(),:')})&_a={quote(app, safe='(),:')}"


def _kql(value: str) -> str:
    return value[:256].replace("\\", "\\\\").replace('"', '\\"')
