"""The command that finds an alert's events where there is no Kibana. Pure.

Invariant: it finds the events that the alert counts, and nothing in their values is for the shell.
"""

import json
from pathlib import Path
from shlex import quote

from pipeline.alerts.behind import conditions
from pipeline.alerts.record import Alert
from pipeline.elastic.client import without_credentials
from pipeline.events.values import instant_text

_SHOWN = 100


def curl(alert: Alert, url: str, user: str | None, ca_certs: Path | None = None) -> str:
    """Return the command for Elasticsearch at `url`; nothing where the alert does not say which events it counts.

    What keeps it from an answer it says itself: nothing at all would read as no events.
    """
    if not alert.query:
        return ""
    span = {"gte": instant_text(alert.episode.first_ms), "lte": instant_text(alert.episode.last_ms)}
    values = [{"term": {name: value}} for name, value in alert.group]
    query = [{"range": {"@timestamp": span}}, *values, *conditions(alert.query, alert.drill)]
    address = f"{without_credentials(url).rstrip('/')}/security-logs-*/_search?size={_SHOWN}&sort=@timestamp"
    trusted = f"--cacert {quote(str(ca_certs.absolute()))} " if ca_certs else ""
    login = f"-u {quote(user)} " if user else ""
    body = json.dumps({"query": {"bool": {"filter": query}}})
    return f"curl -sS {trusted}{login}{quote(address)} -H 'Content-Type: application/json' -d {quote(body)}"
