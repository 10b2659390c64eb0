"""`siemlite coverage`: what each detection has really evaluated."""

import sys
from typing import Annotated

import typer

LATE_MS = 300_000
_WIDTH = 200
"""Columns of the table where it goes to no terminal: wide enough for whole ids."""
_NARROW = 120
"""Columns of a terminal below which the table would be folded too often to be read."""


def coverage(json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False) -> int:
    """Show what each detection evaluated, what not, and how late; without zeros where the terminal is narrow.

    Exit 1 where one was not evaluated in the last five minutes, has arrivals before it, or never was.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import application
    from pipeline.detection.durations import duration_text
    from pipeline.events.values import printable
    from pipeline.scheduler.ledger import Ledger, ledgers

    app = application()
    known = dict(ledgers(app.client))
    now_ms = app.clock.now_ms()
    late = False
    headings = ("evaluated", "behind", "too late", "misfiled", "no group", "not judged", "last pass", "longest delay")
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDTH)
    narrow = console.width < _NARROW
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("detection", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="ellipsis")
    for detection in app.loaded.detections:
        own = known.get(detection.id, Ledger())
        age = None if own.at_ms is None else max(0, now_ms - own.at_ms)
        is_late = age is None or age > LATE_MS or own.behind > 0
        late = late or is_late
        if json:
            show_json({"detection": detection.id, **asdict(own), "age_ms": age, "late": is_late})
            continue
        counts = (own.evaluated, own.behind, own.too_late, own.misfiled, own.without_group, own.unjudged)
        longest = "" if own.longest_delay_ms is None else duration_text(_seconds(own.longest_delay_ms))
        ago = "never" if age is None else f"{duration_text(_seconds(age))} ago"
        if narrow:
            show(detection.id)
            told = [f"{count:,} {name}" for count, name in zip(counts, headings, strict=False) if count]
            show(f"    {', '.join([*told, f'last pass {ago}', *([f'longest delay {longest}'] if longest else [])])}")
            continue
        table.add_row(printable(detection.id), *(f"{count:,}" for count in counts), ago, longest)
    if not json and not narrow:
        console.print(table)
    return 1 if late else 0


def _seconds(ms: int) -> int:
    return max(1, round(ms / 1000)) * 1000
