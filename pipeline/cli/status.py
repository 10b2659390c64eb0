"""`siemlite status`: how shipping stands on this machine."""

from typing import Annotated

import typer


def status(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """Show what waits in the spools, how fast it moves, dead letters, and what was shed."""
    from dataclasses import asdict

    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import shipping_application
    from pipeline.events.values import counted
    from pipeline.status import status_of

    app = shipping_application()
    found = status_of(app)
    if json:
        show_json(
            {
                "spools": [asdict(spool) for spool in found.spools],
                "events": found.events,
                "oldest_seconds": found.oldest_seconds,
                "rates": asdict(found.rates),
                "local_dead_letters": found.local_letters,
                "elasticsearch": None if found.account is None else asdict(found.account),
            }
        )
        return 0
    now_ms = app.clock.now_ms()
    for spool in found.spools:
        if spool.trouble:
            show(f"{spool.name}: cannot be looked into: {spool.trouble}")
            continue
        age = f", the oldest for {(now_ms - spool.oldest_ms) / 1000:.0f} s" if spool.oldest_ms is not None else ""
        roles = f"{'written' if spool.written else 'no writer'}, {'sent from' if spool.sent else 'no sender'}"
        show(f"{spool.name}: {counted(spool.events, 'event')} ({spool.bytes} bytes) waiting{age}; {roles}")
    oldest = "" if found.oldest_seconds is None else f", the oldest for {found.oldest_seconds:.0f} s"
    show(f"{counted(found.events, 'event')} waiting in all{oldest}")
    show(f"{found.rates.spooled:.0f} events/s come in, {found.rates.settled:.0f} events/s leave")
    letters = f"{found.local_letters} in the local file"
    if found.account is None:
        show(f"dead letters: {letters}; those in Elasticsearch, and gaps, are unknown: {found.unanswered}")
        return 0
    show(f"dead letters: {letters}, {found.account.letters} in Elasticsearch")
    levels = ", ".join(f"{count} {level}" for level, count in found.account.by_level.items() if count)
    shed = f"{counted(found.account.shed, 'event')} shed" + (f" ({levels})" if levels else "")
    show(f"gaps in the last 24 hours: {found.account.gaps}; {shed}")
    return 0
