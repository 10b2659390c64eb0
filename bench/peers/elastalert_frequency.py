"""ElastAlert2 in the detection benchmark: `frequency` with `query_key`, run once over history.

Run by the Python that ElastAlert2 is installed for (it needs `pytz` and `setuptools` beside it). Its probe of the
server's version is answered here, because `GET /` is not there on every server. It sends no alerts, keeps no state
in Elasticsearch and asks it for none, all of which spares it time; the rest is its own. Invariant: what is printed
is what `run_rule` matched, and nothing else.
"""

import datetime as dt
import json
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

RULE = """
name: brute force
type: frequency
index: {index}
num_events: {at_least}
timeframe:
  milliseconds: {within_ms}
query_key: source.address
filter:
- term:
    event.code: LOGIN_FAILURE
alert: debug
realert:
  minutes: 0
"""
CONFIG = """
rules_folder: {folder}/rules
run_every:
  minutes: 1
buffer_time:
  minutes: 15
max_query_size: 10000
es_host: {host}
es_port: {port}
writeback_index: elastalert
alert_time_limit:
  days: 2
"""


def answering(value: Any) -> Callable[..., Any]:
    """Return a function that takes anything and returns `value`."""
    return lambda *_, **__: value


def main() -> int:
    """Run the rule over the history that the arguments name; print the keys that matched, with their instants."""
    host, port, index, begin_ms, end_ms, at_least, within_ms, version = sys.argv[1:9]
    from elastalert import ElasticSearchClient, ruletypes
    from elastalert.elastalert import ElastAlerter

    logging.disable(logging.CRITICAL)
    ElasticSearchClient.es_version = version
    ElasticSearchClient.ping = answering(True)
    ElastAlerter.writeback = answering({"_id": "x", "result": "created"})
    for name, value in (("get_starttime", None), ("is_silenced", False), ("set_realert", None), ("alert", None)):
        setattr(ElastAlerter, name, answering(value))
    matched: dict[str, list[str]] = {}

    def keep(_rule: object, event: dict[str, Any]) -> None:
        source = event["source.address"] if "source.address" in event else event["source"]["address"]
        matched.setdefault(str(source), []).append(str(event["@timestamp"]))

    ruletypes.RuleType.add_match = keep
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules")
        rules.mkdir()
        (rules / "rule.yaml").write_text(RULE.format(index=index, at_least=at_least, within_ms=within_ms))
        config = Path(folder, "config.yaml")
        config.write_text(CONFIG.format(folder=folder, host=host, port=port))
        alerter = ElastAlerter(["--config", str(config)])
        rule = alerter.init_rule(alerter.rules_loader.load(alerter.conf, None)[0])
        begin, end = (dt.datetime.fromtimestamp(int(ms) / 1000, dt.UTC) for ms in (begin_ms, end_ms))
        alerter.run_rule(rule, end, begin)
    sys.stdout.write(json.dumps(matched))
    return 0


if __name__ == "__main__":
    sys.exit(main())
