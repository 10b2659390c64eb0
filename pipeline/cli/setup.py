"""`siemlite setup`: install the index templates and make the indices that the scheduler keeps."""

from typing import Annotated

import typer


def setup(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """Install the index templates, make the indices of alerts, control and dead letters; run it after every upgrade."""
    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import application, stop_on_signals

    app = application()
    if not app.await_server(stop_on_signals()):
        return 130
    installed = app.set_up()
    if json:
        show_json({"templates": [{"name": t.name, "version": t.version, "change": t.change} for t in installed]})
        return 0
    for template in installed:
        show(f"{template.name} version {template.version}: {template.change}")
    return 0
