"""Where events go inside `pipeline.testing.captured_events()` instead of to a spool."""

import threading
from typing import Any

import orjson

from pipeline.events.encoded import Encoded

_guard = threading.Lock()
active: tuple[list[dict[str, Any]], ...] = ()
"""The lists that collect now; replaced, never changed, so that reading it takes no lock."""


def begin() -> list[dict[str, Any]]:
    """Collect into a new list, which is returned, until `end`."""
    global active  # noqa: PLW0603 - one switch for the whole process, as the writers are
    collected: list[dict[str, Any]] = []
    with _guard:
        active = (*active, collected)
    return collected


def end(collected: list[dict[str, Any]]) -> None:
    """Collect into `collected` no more."""
    global active  # noqa: PLW0603
    with _guard:
        active = tuple(entry for entry in active if entry is not collected)


def add(event: Encoded) -> None:
    """Give the document of `event`, as it would be sent, to everyone who collects."""
    document = orjson.loads(event.body)
    del document["event.ingested"]
    for collected in active:
        collected.append(document)
