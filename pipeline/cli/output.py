"""How commands speak: results on stdout, everything else on stderr, nothing secret and nothing hostile.

Invariants: with `--json` stdout holds JSON and nothing else; a line written here holds no control
characters from outside; siemlite's own log passes the redactor before it is written.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.events.redaction import Redactor
from pipeline.events.values import INVISIBLE, printable
from pipeline.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_drawing: "list[Console]" = []
"""The console that a progress bar is being drawn on: what is said meanwhile stands above the bar."""


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    line = printable(text)
    if _drawing:
        _drawing[-1].print(line)
    elif sys.stderr is not None:
        with suppress(OSError):  # a reader that has gone, or a full disk, is no reason to end
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def show(text: str = "") -> None:
    """Write a line of the result to stdout."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def show_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document as a line to stdout, in ASCII where stdout is not UTF-8."""
    try:
        text = orjson.dumps(document, default=str).decode()
    except TypeError:  # a byte that is no UTF-8, in what was typed or in the name of a file
        text = json.dumps(document, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    text = INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if not text.isascii() and (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        text = json.dumps(orjson.loads(text))
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class _NoBar:
    """What stands for a bar that is not drawn."""

    def add_task(self, *_given: object, **_named: object) -> Any:
        return None

    def update(self, *_given: object, **_named: object) -> None:
        return


@contextmanager
def progress_bar() -> "Iterator[Progress | _NoBar]":
    """Draw a progress bar on stderr where that is a terminal; in a pipe there is none."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _NoBar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        _drawing.append(console)
        try:
            yield progress
        finally:
            _drawing.pop()


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
