"""`siemlite ship`: bring events into Elasticsearch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.ship import ShipResult
    from pipeline.sources.record import Source


def ship(
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE…|-]", help="Files; - is standard input.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written to the files.")] = False,
    format_: Annotated[str, typer.Option("--format", help="What the files hold: json, authlog or syslog.")] = "json",
    year: Annotated[int | None, typer.Option(help="Year of the first line, where lines have none.")] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Timezone of lines that name none; this machine's for syslog that is followed or received, else UTC."
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(help="Receive syslog at udp://HOST:PORT, tcp://… or tls://…; may be repeated."),
    ] = None,
    tls_cert: Annotated[str | None, typer.Option(help="Certificate file of a tls:// listener.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Key file of a tls:// listener.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
) -> int:
    """Ship files, or standard input; without either, send what every spool of this home holds, until SIGTERM.

    Exit 1 if a file could not be read to its end.
    """
    from pipeline.cli.arguments import listen_arguments, timezone_argument
    from pipeline.cli.output import progress_bar
    from pipeline.cli.start import seldom_collect, shipping_application, stop_on_signals
    from pipeline.ship import ship_sources, ship_spools
    from pipeline.sources.formats.format import FormatOptions, format_factory

    stop = stop_on_signals()
    app = shipping_application()
    seldom_collect()
    _refuse_contradictions(
        files or [], listen or [], follow=follow, format_=format_, year=year, tls=tls_cert or tls_key
    )
    live_lines = bool(listen) or (follow and format_ != "json")
    options = FormatOptions(year, timezone_argument(timezone, live=live_lines))
    source: Source
    if listen:
        source = app.listener(listen_arguments(listen, tls_cert, tls_key), options, stop)
    elif files:
        source = app.source(files, format_factory(format_, options), stop, follow=follow)
    else:
        app.refuse_wrong_credentials()
        ship_spools(app, stop)
        return 0
    app.refuse_wrong_credentials()
    endless = follow or bool(listen)
    with progress_bar() as bar:
        task = bar.add_task("shipping", total=None if endless else source.bytes_total or None, note="")

        def progress(read: int, stored: int, waiting: int) -> None:
            bar.update(task, completed=read, total=source.bytes_total or None, note=f"{stored} stored, {waiting} wait")

        result = ship_sources(app, source, stop, live=endless or files == ["-"], progress=progress)
    whole = _report(source, result, format_, json=json)
    return 0 if whole and (not result.waiting or stop.is_set()) else 1


def _refuse_contradictions(
    files: Sequence[str], listen: Sequence[str], *, follow: bool, format_: str, year: int | None, tls: str | None
) -> None:
    """Raise `ConfigurationError` where the arguments do not go together; `tls` is a file for a tls:// listener."""
    from pipeline.errors import ConfigurationError

    contradictions = (
        (
            "-" in files and len(files) > 1,
            "- is standard input and goes alone; run a second `siemlite ship` for the files",
        ),
        (tls and not listen, "--tls-cert and --tls-key are for --listen tls://HOST:PORT; add that, or leave them out"),
        (year is not None and (listen or format_ != "authlog"), "--year is for --format authlog; leave it out"),
        (files and listen, "--listen takes no files; run a second `siemlite ship` for them"),
        (
            follow and not files and not listen,
            "--follow needs a file or a pattern; name one, such as /var/log/auth.log",
        ),
    )
    for is_so, text in contradictions:
        if is_so:
            raise ConfigurationError(text)


def _report(source: "Source", result: "ShipResult", format_: str, *, json: bool) -> bool:
    """Say what became of the events and what could not be read; return whether everything could be."""
    from pipeline.cli.output import say, show_json
    from pipeline.events.values import counted
    from pipeline.sources.files import FileSource
    from pipeline.sources.formats.format import other_format
    from pipeline.sources.stdin import StreamSource

    problems = source.problems if isinstance(source, FileSource) else []
    for problem in problems:
        say(f"siemlite: {problem}")
    unread = source.unread_lines if isinstance(source, FileSource | StreamSource) else 0
    if unread:
        other = other_format(format_)
        say(
            f"siemlite: {unread} of {result.read} events come from lines that are no {format_}; is it --format {other}?"
        )
    if json:
        show_json({"read": result.read, "stored": result.stored, "refused": result.refused, "waiting": result.waiting})
    else:
        left = f", {result.waiting} waiting in the spool for the next `siemlite ship`" if result.waiting else ""
        say(f"{counted(result.read, 'event')} read, {result.stored} stored, {result.refused} refused{left}")
    return not problems
