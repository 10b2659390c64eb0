"""A generic webhook: JSON, signed so that the receiver can tell who sent it, and when.

`Siemlite-Signature: t=<seconds since the epoch>,v1=<hex>` is HMAC-SHA256, with `SIEMLITE_WEBHOOK_SECRET`, of
`<t>.<body>`. A receiver recomputes it, compares in constant time, and refuses a `t` that is minutes old, so
that a message which was overheard cannot be played again. `Siemlite-Delivery` is the same for every attempt
of one message, for the receiver to drop repeats.
"""

import hashlib
import hmac
from typing import Any

import orjson
from pydantic import SecretStr

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.notice import Notice
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

SIGNATURE_HEADER = "Siemlite-Signature"
DELIVERY_HEADER = "Siemlite-Delivery"


class WebhookChannel:
    """Posts every action of every alert."""

    name = "webhook"
    actions = frozenset(Action)
    reaches_people = True

    def __init__(self, secret: SecretStr, poster: Poster, clock: Clock) -> None:
        self._secret = secret
        self._poster = poster
        self._clock = clock

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        body = orjson.dumps(document(notice))
        headers = {
            "Content-Type": "application/json",
            DELIVERY_HEADER: notice.delivery_id,
            SIGNATURE_HEADER: signature(self._secret.get_secret_value().encode(), self._clock.now_ms() // 1000, body),
        }
        self._poster.post(body, headers)

    def close(self) -> None:
        """See `Channel.close`."""
        self._poster.close()


def channel(settings: Settings, clock: Clock) -> Channel | None:
    """Return the channel for `SIEMLITE_WEBHOOK_URL`."""
    if settings.siemlite_webhook_url is None:
        return None
    if settings.siemlite_webhook_secret is None:
        raise ConfigurationError(
            "SIEMLITE_WEBHOOK_URL is set and SIEMLITE_WEBHOOK_SECRET is not; set both, so that messages are signed"
        )
    secret = settings.siemlite_webhook_secret
    return WebhookChannel(secret, Poster(settings.siemlite_webhook_url, clock, secrets=(secret,)), clock)


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """Return the value of the signature header for `body` sent at `seconds` since the epoch."""
    digest = hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def document(notice: Notice) -> dict[str, Any]:
    """Return what is posted for `notice`. Pure."""
    return {
        "version": 1,
        "alert": notice.alert_id,
        "delivery": notice.delivery_id,
        "action": notice.action.value,
        "severity": notice.severity.value,
        "title": notice.title,
        "summary": notice.summary,
        "detection": notice.detection_id,
        "guide": notice.guide,
        "group": dict(notice.group),
        "count": notice.count,
        "first": notice.first,
        "crossing": notice.crossing,
        "last": notice.last,
        "state": notice.state,
        "attack": list(notice.attack),
        "tags": list(notice.tags),
        "alerts": notice.members,
        "examples": list(notice.examples),
        "links": {link.label.lower(): link.url for link in notice.links},
        "drill": notice.drill,
        "by": notice.by,
        "note": notice.note,
        "repeated": notice.repeated,
    }
