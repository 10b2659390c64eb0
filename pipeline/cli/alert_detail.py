"""All that is known of one alert, as `siemlite alerts show` prints it."""

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.alerts.record import Alert, headline
from pipeline.alerts.rollups import listing
from pipeline.cli.output import show as show_line
from pipeline.events.values import counted, instant_text


def detail(alert: Alert, source: Mapping[str, Any], command: str) -> None:
    """Print an alert, the stored document `source` beside it, and the command that finds its events."""
    episode = alert.episode
    show_line(f"[{alert.severity.upper()}] {alert.title}")
    show_line(headline(alert))
    facts: list[tuple[str, str]] = [
        ("alert", alert.id),
        ("detection", alert.detection_id),
        ("state", state_text(alert)),
    ]
    facts += list(alert.group)
    facts += [
        ("events", str(alert.count)),
        (alert.span[0].lower(), instant_text(episode.first_ms)),
        ("crossing", instant_text(episode.crossing_ms)),
        (alert.span[1].lower(), instant_text(episode.last_ms)),
        ("ATT&CK", ", ".join(alert.attack)),
        ("episode", str(episode.number) if episode.number else ""),
        ("drill", alert.drill or ""),
    ]
    for what, standing in (("acknowledged", alert.acknowledged), ("closed", alert.closed)):
        if standing is not None:
            note = f": {standing.note}" if standing.note else ""
            facts.append((what, f"{instant_text(standing.at_ms)} by {standing.by}{note}"))
    if alert.silence is not None:
        silence = alert.silence
        facts.append(
            ("silence", f"{silence.id} by {silence.author} until {instant_text(silence.until_ms)}: {silence.reason}")
        )
    if alert.inhibited_by is not None:
        facts.append(("told by", alert.inhibited_by))
    if alert.membership is not None:
        facts.append(("part of", f"{alert.membership.reason} {alert.membership.id or 'that is still gathered'}"))
    for name, value in facts:
        if value:
            show_line(f"  {name + ':':<16} {value}")
    for line in alert.examples:
        show_line(f"  - {line}")
    for delivery in alert.deliveries:
        when = "" if delivery.sent_ms is None else f" at {instant_text(delivery.sent_ms)}"
        error = "" if delivery.last_error is None else f": {delivery.last_error}"
        attempts = counted(delivery.attempts, "attempt")
        show_line(f"  {delivery.channel} {delivery.action}: {delivery.state}{when}, {attempts}{error}")
    for line in ("", *alert.guide.splitlines()):
        show_line(line)
    if alert.is_rollup:
        show_line()
        show_line(f"Its alerts: {listing(alert)}")
    if command:
        show_line()
        show_line("Its events, the first hundred:")
        show_line(command)
    for sample in source["siemlite"].get("samples") or ():
        show_line()
        show_line(orjson.dumps(sample).decode())


def state_text(alert: Alert) -> str:
    """Return the state of an alert and what else it is."""
    marks = [
        mark
        for mark, there in (
            ("silenced", alert.silence is not None),
            ("inhibited", alert.inhibited_by is not None),
            ("drill", alert.drill is not None),
        )
        if there
    ]
    return " ".join((alert.state, *marks))
