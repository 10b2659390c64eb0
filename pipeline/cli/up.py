"""`siemlite up`: everything in one process."""

from typing import Annotated

import typer


def up(
    follow: Annotated[list[str] | None, typer.Option(help="A file or pattern to follow; may be repeated.")] = None,
    format_: Annotated[
        str, typer.Option("--format", help="What the followed files hold: json, authlog or syslog.")
    ] = "json",
    timezone: Annotated[
        str | None,
        typer.Option(help="Timezone of lines that name none; this machine's for authlog and syslog, else UTC."),
    ] = None,
) -> int:
    """Run node (unless ELASTICSEARCH_URL is set), setup, shipper and scheduler until Ctrl-C."""
    from pipeline.cli.arguments import timezone_argument
    from pipeline.cli.start import application, on_hangup, seldom_collect, stop_on_signals
    from pipeline.drill import prove_first_start
    from pipeline.sources.formats.format import FormatOptions, format_factory
    from pipeline.up import run_everything

    stop = stop_on_signals()
    app = application()
    seldom_collect()
    on_hangup(app.live_detections.ask)
    lines = format_factory(format_, FormatOptions(timezone=timezone_argument(timezone, live=format_ != "json")))
    followed = (lambda ended: app.source(follow, lines, ended, follow=True)) if follow else None
    run_everything(app, stop, followed, then=lambda: prove_first_start(app, stop))
    return 0
