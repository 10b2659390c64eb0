"""Slack, by incoming webhook.

Sources: Slack's documentation of incoming webhooks, of Block Kit's limits (header 150 characters, section
3,000, each of at most 10 fields 2,000, 50 blocks) and of escaping (`&`, `<`, `>`). Invariant: whatever an
event or an answer says is shown as plain text; it makes no link, no mention, no emphasis and no emoji. That
is why all of it stands in `plain_text` objects, `<` and `>` are escaped and parsing of the text is off.
"""

from typing import Any

import orjson

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.channels.http import Poster
from pipeline.delivery.notice import Notice
from pipeline.settings import Settings

HEADER_MAX, SECTION_MAX, FIELD_MAX, FIELDS_MAX, TEXT_MAX, URL_MAX = 150, 3000, 2000, 10, 4000, 3000
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_GUIDE_SHOWN = 1500
_ELLIPSIS = "…"


class SlackChannel:
    """Posts a message for each alert that opens or escalates; a webhook cannot change what it said before."""

    name = "slack"
    actions = frozenset({Action.OPEN, Action.ESCALATE})
    reaches_people = True

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        self._poster.post(orjson.dumps(message(notice)), {"Content-Type": "application/json; charset=utf-8"})

    def close(self) -> None:
        """See `Channel.close`."""
        self._poster.close()


def channel(settings: Settings, clock: Clock) -> Channel | None:
    """Return the channel for `SLACK_WEBHOOK`."""
    if settings.slack_webhook is None:
        return None
    return SlackChannel(Poster(settings.slack_webhook, clock))


def message(notice: Notice) -> dict[str, Any]:
    """Return the request's body for `notice`. Pure."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(notice.heading, HEADER_MAX)},
        {"type": "section", "text": _plain(notice.summary, SECTION_MAX)},
    ]
    blocks += [{"type": "section", "fields": _fields(notice)[:FIELDS_MAX]}]
    if notice.examples:
        blocks.append({"type": "section", "text": _plain("\n".join(notice.examples), SECTION_MAX)})
    if notice.guide:
        blocks.append({"type": "section", "text": _plain(_cut(notice.guide, _GUIDE_SHOWN), SECTION_MAX)})
    buttons = [
        {"type": "button", "text": _plain(link.label, 75), "url": link.url, "action_id": f"link_{position}"}
        for position, link in enumerate(notice.links)
        if len(link.url) <= URL_MAX
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    footer = f"alert {notice.alert_id} · siemlite alerts show {notice.alert_id[:12]}"
    if notice.repeated:
        footer += " · may repeat an earlier message"
    blocks.append({"type": "context", "elements": [_plain(footer, FIELD_MAX)]})
    return {
        "text": escaped(f"{notice.heading}\n{notice.summary}", TEXT_MAX),
        "blocks": blocks,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str, limit: int) -> str:
    """Return `text` with Slack's control characters as entities, cut to `limit` and never inside an entity."""
    pieces: list[str] = []
    used = 0
    for character in text:
        piece = _ENTITIES.get(character, character)
        width = len(piece) if ord(character) < 0x10000 else 2
        if used + width > limit - 1:
            pieces.append(_ELLIPSIS)
            break
        pieces.append(piece)
        used += width
    return "".join(pieces)


def _fields(notice: Notice) -> list[dict[str, Any]]:
    pairs = list(notice.group[:4])
    pairs.append(("Severity", notice.severity.value))
    pairs.append(("Alerts", str(notice.members)) if notice.members else ("Events", str(notice.count)))
    pairs += zip(notice.span, (notice.first, notice.last), strict=True)
    if notice.attack:
        pairs.append(("ATT&CK", ", ".join(notice.attack)))
    pairs.append(("Detection", notice.detection_id))
    return [_plain(f"{name}\n{value}", FIELD_MAX) for name, value in pairs]


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, limit) or " ", "emoji": False}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}{_ELLIPSIS}"
