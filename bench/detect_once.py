"""siemlite in the detection benchmark: one process, one detection over history, its answer on standard output."""

import sys
from pathlib import Path

import orjson

from pipeline.detection import Detection, Severity, Threshold
from pipeline.elastic.client import connect
from pipeline.engine.engine import Engine
from pipeline.settings import load_settings


def main() -> int:
    """Evaluate history at the server, between the instants and with the threshold that the arguments name."""
    url, (begin_ms, end_ms, at_least, within) = sys.argv[1], map(int, sys.argv[2:])
    kind = Threshold(
        severity=Severity.HIGH,
        where={"event.code": "LOGIN_FAILURE"},
        group_by="source.address",
        at_least=at_least,
        within=within,
    )
    detection = Detection("brute_force", "Brute force", "", Path(__file__), kind)
    engine = Engine(connect(load_settings(None), url), verify_mark=lambda *_: False)
    result = engine.over(detection, begin_ms, end_ms)
    if not result.complete:
        sys.stderr.write(f"not evaluated: {result.error}\n")
        return 1
    found = {finding.group[0][1]: [one.time_ms for one in finding.crossings] for finding in result.findings}
    sys.stdout.buffer.write(orjson.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
