"""`siemlite setup`: install the index templates."""

from typing import Annotated

import typer


def setup(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Install the index templates in Elasticsearch; run it again after every upgrade."""
    from pipeline.app import App
    from pipeline.cli.output import say, show, show_json

    app = App.load(notify=say)
    installed = app.set_up()
    if json:
        show_json({"templates": [{"name": t.name, "version": t.version, "change": t.change} for t in installed]})
        return
    for template in installed:
        show(f"{template.name} version {template.version}: {template.change}")
