"""`siemlite drill`: test the monitoring."""

from typing import Annotated

import typer


def drill(
    ids: Annotated[list[str] | None, typer.Argument(help="Detections; without one, brute force by address.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every detection.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Let the alerts reach people.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for alert and delivery.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> int:
    """Play a detection's own example as signed events through the real path.

    Exit 1 if nobody was told, 2 if a detection's file cannot be loaded.
    """
    from dataclasses import asdict

    from pipeline.cli.output import say, show, show_json
    from pipeline.cli.start import application, stop_on_signals
    from pipeline.drill import chosen_for_drill, drill_line, run_drills

    stop = stop_on_signals()
    app = application()
    detections = chosen_for_drill(app.loaded, ids or (), everything=all_)
    for failure in app.loaded.failures:
        say(f"siemlite: {failure}; the other detections run")
    if not app.await_server(stop):
        return 130
    failed = 0
    for result in run_drills(app, detections, stop, page=page, wait_seconds=wait):
        failed += not result.passed
        if json:
            show_json(asdict(result) | {"passed": result.passed})
        else:
            show(drill_line(result))
    return 2 if app.loaded.failures else 1 if failed else 0
