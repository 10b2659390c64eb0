"""An application that logs through siemlite's API as fast as it can: one thread, one call for each event.

`python -m bench.application FILE` reads raw events and logs each; `SIEMLITE_HOME` says where to. A real application
logs when something happens; this one would outrun the writer, so it waits for it every `FLUSH_EVERY` events, or
events would be shed (and counted as such) once the queue's bound is reached. Reading and parsing FILE is part of
its processor time.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from pipeline import SecurityLogger
from pipeline.events.catalogue import BY_CODE

FLUSH_EVERY = 5_000
_FLUSH_SECONDS = 60.0
_ARGUMENTS = {
    "userId": "user_id",
    "userAgent": "user_agent",
    "geoLocation": "geo_location",
    "traceId": "trace_id",
}
_NOT_PASSED = frozenset({"timestamp", "service", "event", "level", "context"})


def main(file: str) -> int:
    """Log every event of FILE; return the exit status."""
    loggers: dict[str, SecurityLogger] = {}
    with Path(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            event: dict[str, Any] = orjson.loads(line)
            service = event["service"]
            logger = loggers.get(service)
            if logger is None:
                logger = loggers[service] = SecurityLogger(service)
            fields = {_ARGUMENTS.get(key, key): value for key, value in event.items() if key not in _NOT_PASSED}
            for key, value in event.get("context", {}).items():
                fields[_ARGUMENTS.get(key, key)] = value
            logger.log(BY_CODE[event["event"]], **fields)
            if number % FLUSH_EVERY == 0 and not logger.flush(_FLUSH_SECONDS):
                sys.stderr.write("application: the events are not on disk\n")
                return 1
    return 0 if all(logger.close(_FLUSH_SECONDS) for logger in loggers.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
