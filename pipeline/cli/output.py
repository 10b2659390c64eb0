"""How commands speak: results on stdout, everything else on stderr, nothing secret and nothing hostile.

Invariants: with `--json` stdout holds JSON and nothing else; a line written here holds no control
characters from outside; siemlite's own log passes the redactor before it is written.
"""

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.events.redaction import Redactor
from pipeline.events.values import INVISIBLE, printable
from pipeline.settings import Settings

stderr = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    stderr.print(printable(text))


def show(text: str = "") -> None:
    """Write a line of the result to stdout."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def show_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document as a line to stdout, in ASCII where stdout is not UTF-8."""
    text = orjson.dumps(document, default=str).decode()
    text = INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if not text.isascii() and (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        text = json.dumps(orjson.loads(text))
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress_bar() -> Progress:
    """Return a progress bar on stderr: drawn on a terminal, silent in a pipe."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )


class _RedactingFormatter(logging.Formatter):
    """Formats a record whole, traceback included, and redacts the result."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        lines = self._redactor.text(super().format(record)).split("\n")
        return "\n".join(printable(line) for line in lines)


def set_up_logging(settings: Settings) -> None:
    """Send siemlite's own log to stderr, redacted, at the level of `SIEMLITE_LOG_LEVEL`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_RedactingFormatter(Redactor(settings.siemlite_redact_keys)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pipeline").setLevel(settings.siemlite_log_level.upper())
    for noisy in ("elastic_transport", "elasticsearch", "httpx", "httpcore", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
