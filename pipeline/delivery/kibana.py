"""Links into Kibana's Discover. Pure.

Invariant: what an event says changes neither where a link leads nor what is asked for there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pipeline.alerts.behind import conditions
from pipeline.alerts.record import Alert
from pipeline.events.values import instant_text

EVENTS, ALERTS = "security-logs", "security-alerts"
"""The data views, by id: see the README."""

_RISON_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Link:
    """A link to follow: a short label and an address."""

    label: str
    url: str


def links(alert: Alert, kibana_url: str | None) -> tuple[Link, ...]:
    """Return links into Kibana's Discover: the alert, or a roll-up's members, and the events behind it.

    There the group is the query and what the detection looks at a filter beside it: without that, and over a longer
    time, stands what else the group did.
    """
    if kibana_url is None:
        return ()
    root = kibana_url.rstrip("/")
    whole = "(from:now-15y,to:now)"
    if alert.is_rollup:
        query = f'siemlite.rollup.id: "{alert.id}" or event.id: "{alert.id}"'
        return (Link("Alerts", _discover(root, ALERTS, query, whole)),)
    alert_link = Link("Alert", _discover(root, ALERTS, f'event.id: "{alert.id}"', whole))
    looked_at = conditions(alert.query, alert.drill)
    if not alert.group and not looked_at:
        return (alert_link,)
    query = " and ".join(f'{name}: "{_kql(value)}"' for name, value in alert.group)
    first, last = alert.episode.first_ms, alert.episode.last_ms
    span = f"(from:'{instant_text(first)}',to:'{instant_text(max(last, first + 1))}')"  # Kibana counts both ends in
    filters = [_filter(alert.detection_id, condition) for condition in looked_at]
    return (alert_link, Link("Events", _discover(root, EVENTS, query, span, filters)))


def _discover(root: str, view: str, query: str, span: str, filters: Sequence[Mapping[str, Any]] = ()) -> str:
    state = {"index": view, **({"filters": filters} if filters else {}), "query": {"language": "kuery", "query": query}}
    return f"{root}/app/discover#/?_g=(time:{quote(span, safe='(),:')})&_a={quote(_rison(state), safe='!(),:')}"


def _filter(label: str, query: Mapping[str, Any]) -> dict[str, Any]:
    about = {"index": EVENTS, "type": "custom", "key": "query", "alias": label, "disabled": False, "negate": False}
    return {"$state": {"store": "appState"}, "meta": about, "query": query}


def _rison(value: Any) -> str:
    """Return a value in the notation of Kibana's addresses."""
    if isinstance(value, Mapping):
        return f"({','.join(f'{_rison(str(name))}:{_rison(inner)}' for name, inner in value.items())})"
    if isinstance(value, list | tuple):
        return f"!({','.join(_rison(inner) for inner in value)})"
    if isinstance(value, str):
        if _RISON_WORD.fullmatch(value):
            return value
        escaped = value.replace("!", "!!").replace("'", "!'")
        return f"'{escaped}'"
    if value is None or isinstance(value, bool):
        return "!n" if value is None else f"!{str(value).lower()[0]}"
    return repr(value).replace("+", "")  # the exponent's sign, which this notation does not have


def _kql(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
