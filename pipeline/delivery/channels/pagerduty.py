"""PagerDuty, by Events API v2.

Source: PagerDuty's Events API v2 (`routing_key`, `event_action`, `dedup_key` up to 255 characters, summary up
to 1,024, an event up to 512 KB; severities critical, error, warning, info). Invariant: `dedup_key` is the
alert's id, so a repeated message changes an incident and never opens a second one.
"""

from typing import Any

import orjson
from pydantic import SecretStr

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.notice import Notice
from pipeline.detection.timeline import Severity
from pipeline.settings import Settings

SUMMARY_MAX = 1024
EVENT_MAX_BYTES = 512_000
SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}
EVENT_ACTIONS = {
    Action.OPEN: "trigger",
    Action.ESCALATE: "trigger",
    Action.ACKNOWLEDGE: "acknowledge",
    Action.RESOLVE: "resolve",
}
_SHRINK = (20_000, 2_000, 200, 0)


class PagerDutyChannel:
    """Triggers, acknowledges and resolves one incident for each alert."""

    name = "pagerduty"
    actions = frozenset(Action)
    reaches_people = True

    def __init__(self, routing_key: SecretStr, poster: Poster) -> None:
        self._routing_key = routing_key
        self._poster = poster

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        self._poster.post(body(notice, self._routing_key.get_secret_value()), {"Content-Type": "application/json"})

    def close(self) -> None:
        """See `Channel.close`."""
        self._poster.close()


def channel(settings: Settings, clock: Clock) -> Channel | None:
    """Return the channel for `PAGERDUTY_KEY`."""
    if settings.pagerduty_key is None:
        return None
    key = settings.pagerduty_key
    return PagerDutyChannel(key, Poster(SecretStr(settings.siemlite_pagerduty_url), clock, secrets=(key,)))


def body(notice: Notice, routing_key: str) -> bytes:
    """Return the request's body for `notice`, within the size limit. Pure."""
    for limit in _SHRINK:
        encoded = orjson.dumps(_event(notice, routing_key, limit))
        if len(encoded) <= EVENT_MAX_BYTES:
            break
    return encoded


def _event(notice: Notice, routing_key: str, text_max: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": EVENT_ACTIONS[notice.action],
        "dedup_key": notice.alert_id,
    }
    if event["event_action"] != "trigger":
        return event
    first, last = (name.lower().replace(" ", "_") for name in notice.span)
    event["payload"] = {
        "summary": f"{notice.heading}: {notice.summary}"[:SUMMARY_MAX],
        "source": (", ".join(value for _, value in notice.group) or notice.detection_id)[:SUMMARY_MAX],
        "severity": SEVERITIES[notice.severity],
        "timestamp": notice.crossing,
        "component": notice.detection_id,
        "class": (notice.attack[0] if notice.attack else notice.detection_id),
        "custom_details": {
            "severity": notice.severity.value,
            "detection": notice.detection_id,
            "group": {name: value[:text_max] for name, value in notice.group},
            "events": notice.count,
            first: notice.first,
            "crossing": notice.crossing,
            last: notice.last,
            "attack": list(notice.attack),
            "guide": notice.guide[:text_max],
            "alert": notice.alert_id,
            "show": f"siemlite alerts show {notice.alert_id[:12]}",
            **({"alerts": notice.members} if notice.members else {}),
            "examples": [example[:text_max] for example in notice.examples],
            **({"drill": notice.drill} if notice.drill is not None else {}),
        },
    }
    event["client"] = "siemlite"
    if notice.links:
        event["links"] = [{"href": link.url, "text": link.label} for link in notice.links]
    return event
