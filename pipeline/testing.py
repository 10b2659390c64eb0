"""For the tests of applications: what did my code log?

from pipeline.testing import captured_events

with captured_events() as events:
    client.post("/login", json={"user": "a", "password": "wrong"})
assert [event["event"]["code"] for event in events] == ["LOGIN_FAILURE"]
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.logger import capture


@contextmanager
def captured_events() -> Iterator[list[dict[str, Any]]]:
    """Collect the events that security loggers make inside, in any thread, as redacted, complete documents.

    They go nowhere else: no spool, no thread, no file. Inner captures do not hide events from outer ones.
    """
    collected = capture.begin()
    try:
        yield collected
    finally:
        capture.end(collected)
