"""The command that finds an alert's events where there is no Kibana. Pure.

Invariant: it finds the events that the alert counts, and nothing in their values is for the shell.
"""

import json
from shlex import quote

from pipeline.alerts.behind import conditions
from pipeline.alerts.record import Alert
from pipeline.elastic.client import without_credentials
from pipeline.events.values import instant_text

_SHOWN = 100


def curl(alert: Alert, url: str, user: str | None) -> str:
    """Return the command for Elasticsearch at `url`; nothing where the alert does not say which events it counts."""
    if not alert.query:
        return ""
    span = {"gte": instant_text(alert.episode.first_ms), "lte": instant_text(alert.episode.last_ms)}
    values = [{"term": {name: value}} for name, value in alert.group]
    query = [{"range": {"@timestamp": span}}, *values, *conditions(alert.query, alert.drill)]
    address = f"{without_credentials(url).rstrip('/')}/security-logs-*/_search?size={_SHOWN}&sort=@timestamp"
    login = f"-u {quote(user)} " if user else ""
    body = json.dumps({"query": {"bool": {"filter": query}}})
    return f"curl -s {login}{quote(address)} -H 'Content-Type: application/json' -d {quote(body)}"
