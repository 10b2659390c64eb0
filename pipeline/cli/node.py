"""`siemlite node`: start, stop and look at the embedded Elasticsearch of this home."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def start(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Port on loopback; without it, this home's last one, if it is free."),
    ] = None,
    json: Json = False,
) -> int:
    """Start the node and return once it is healthy; it runs until `siemlite node stop`."""
    from pipeline.cli.output import say, show, show_json
    from pipeline.node import start_node
    from pipeline.settings import load_settings

    settings = load_settings()
    node = start_node(settings, port=port, detach=True, progress=say)
    if settings.elasticsearch_url is not None:
        say("ELASTICSEARCH_URL is set: the other commands use that server, not this node")
    if json:
        show_json({"url": node.url, "pid": node.pid})
    else:
        show(node.url)
    return 0


@app.command()
def stop() -> int:
    """Stop the node, whoever started it; its data stays."""
    from pipeline.cli.output import say
    from pipeline.node import stop_node
    from pipeline.settings import load_settings

    home = load_settings().siemlite_home
    say(f"the node of {home} has stopped" if stop_node(home) else f"no node of {home} runs")
    return 0


@app.command()
def status(json: Json = False) -> int:
    """Show where the node runs; exit 1 if it does not, or does not answer."""
    from pipeline.cli.output import show, show_json
    from pipeline.node import node_status
    from pipeline.settings import load_settings

    home = load_settings().siemlite_home
    node = node_status(home)
    if json:
        show_json({"running": node is not None, "url": node and node.url, "pid": node and node.pid})
    elif node is None:
        show(f"no node of {home} runs")
    else:
        show(f"{node.url} (process {node.pid})")
    return 0 if node is not None else 1
