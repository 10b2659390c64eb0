"""`siemlite status`: what the spools of this home hold."""

from typing import Annotated

import typer


def status(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """Show what waits in the spools and what lies in the local dead letters."""
    from dataclasses import asdict

    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import application
    from pipeline.shipping.letters import local_letters
    from pipeline.shipping.survey import survey

    app = application()
    spools = survey(app.spools)
    letters = sum(1 for _ in local_letters(app.settings.siemlite_home))
    now_ms = app.clock.now_ms()
    if json:
        show_json({"spools": [asdict(spool) for spool in spools], "local_dead_letters": letters})
        return 0
    for spool in spools:
        age = f", the oldest for {(now_ms - spool.oldest_ms) / 1000:.0f} s" if spool.oldest_ms is not None else ""
        roles = f"{'written' if spool.written else 'no writer'}, {'sent from' if spool.sent else 'no sender'}"
        show(f"{spool.name}: {spool.events} events ({spool.bytes} bytes) wait{age}; {roles}")
    show(f"{sum(spool.events for spool in spools)} events wait in all; {letters} dead letters in the local file")
    return 0
