"""`siemlite alerts`: see alerts, look after them, close them."""

import getpass
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.alerts.record import Alert
    from pipeline.detection.timeline import Severity
    from pipeline.engine.loader import Loaded

app = typer.Typer(no_args_is_help=True, help="Alerts: list, show, acknowledge, close, retry.")

_PIPE_WIDTH = 1000
_GROUP_MAX = 160
_GROUP_MIN = 24
"""Columns for the group, below which it is folded too often to be read."""
_HEADINGS = ("ID", "LAST (UTC)", "SEVERITY", "STATE", "COUNT", "DETECTION", "GROUP")

Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="The alerts' ids, or their beginnings.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; the user of this terminal otherwise.")]
Note = Annotated[str, typer.Option("--note", "-m", help="Why, for those who read it later.")]


@app.command("list")
def list_(
    *,
    state: Annotated[list[str] | None, typer.Option(help="open, acknowledged or closed; may be repeated.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="low, medium, high, critical; may be repeated.")] = None,
    detection: Annotated[list[str] | None, typer.Option(help="Of this detection; may be repeated.")] = None,
    value: Annotated[list[str] | None, typer.Option(help="Of the group with this value, or FIELD=VALUE.")] = None,
    since: Annotated[str | None, typer.Option(help="Active at or after this instant.")] = None,
    until: Annotated[str | None, typer.Option(help="Last active before this instant.")] = None,
    drills: Annotated[bool, typer.Option("--drills", help="Also the alerts of drills.")] = False,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only those that a channel has not got.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    json: Json = False,
) -> int:
    """List alerts, those active last first; without --state those that are not closed."""
    from pipeline.alerts.listing import Filter, listed, matching
    from pipeline.alerts.record import ACKNOWLEDGED, OPEN, STATES
    from pipeline.cli.arguments import since_until_arguments
    from pipeline.cli.output import say, show_json
    from pipeline.cli.start import application
    from pipeline.errors import ConfigurationError
    from pipeline.events.values import counted

    for given in state or ():
        if given not in STATES:
            raise ConfigurationError(f"--state {given!r} is none of {', '.join(STATES)}")
    since_ms, until_ms = since_until_arguments(since, until)
    which = Filter(
        states=tuple(state or (OPEN, ACKNOWLEDGED)),
        severities=_severities(severity or ()),
        detections=tuple(detection or ()),
        values=tuple(part for given in value or () for part in _values(given)),
        since_ms=since_ms,
        until_ms=until_ms,
        drills=drills,
        undelivered=undelivered,
    )
    app_ = application()
    client = app_.client
    found = list(listed(client, which, limit))
    total = matching(client, which)
    if json:
        for _, source in found:
            show_json(source)
    else:
        _table([alert for alert, _ in found])
    if total > len(found):
        say(f"{len(found)} of {counted(total, 'alert')}; --limit shows more")
    elif not json:
        say(counted(total, "alert"))
    for name in detection or () if not found else ():
        if not matching(client, Filter(detections=(name,), drills=True)):
            _doubt(name, app_.loaded)
    return 0


@app.command()
def show(ids: Ids, json: Json = False) -> int:
    """Show everything there is of an alert: what happened, what to do, who was told, how to find its events."""
    from pipeline.alerts.command import curl
    from pipeline.alerts.listing import whole
    from pipeline.cli.alert_detail import detail
    from pipeline.cli.output import show_json
    from pipeline.cli.start import application

    application_ = application()
    for prefix in ids:
        alert, source = whole(application_.client, application_.alert_actions.find(prefix))
        if json:
            show_json(source)
        else:
            settings = application_.settings
            detail(alert, source, curl(alert, application_.url, settings.es_user, settings.es_ca_certs))
    return 0


@app.command()
def ack(ids: Ids, by: By = None, note: Note = "", json: Json = False) -> int:
    """Say that you look after these alerts."""
    from pipeline.cli.start import application

    actions = application().alert_actions
    found = [actions.find(prefix) for prefix in ids]  # All of them first: an unknown one leaves the others alone.
    return _report([actions.acknowledge(alert_id, person(by), note) for alert_id in found], json)


@app.command()
def close(ids: Ids, by: By = None, note: Note = "", json: Json = False) -> int:
    """Close these alerts: nothing that happened up to now counts again for their groups."""
    from pipeline.cli.start import application

    application_ = application()
    application_.refuse_wrong_clock()
    actions = application_.alert_actions
    found = [actions.find(prefix) for prefix in ids]  # All of them first: an unknown one leaves the others alone.
    return _report([actions.close(alert_id, person(by), note) for alert_id in found], json)


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="The alerts; all otherwise.")] = None,
    json: Json = False,
) -> int:
    """Owe again what was given up, once what refused it is mended; the daemon sends it."""
    from pipeline.cli.start import application

    actions = application().alert_actions
    wanted = [actions.find(prefix) for prefix in ids] if ids else actions.given_up()
    return _report([actions.retry(alert_id) for alert_id in wanted], json)


def person(by: str | None) -> str:
    """Return who acts: `by`, or the user of this terminal."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _doubt(name: str, loaded: "Loaded") -> None:
    """Say it where a name of which no alert is there is no detection's either; other folders may have it."""
    from pipeline.cli.output import say

    known = {detection.id for detection in loaded.detections} | loaded.broken.keys()
    if not name.startswith("siemlite_") and name not in known:
        say(f"siemlite: no detection here is called {name}, and no alert is one of it; {loaded.meant(name)}")


def _values(given: str) -> tuple[str, ...]:
    """Return the group values that `given` may mean: itself, and what stands behind `FIELD=`."""
    name, equals, value = given.partition("=")
    return (given, value) if equals and value and re.fullmatch(r"[\w.@-]+", name) else (given,)


def _severities(names: Sequence[str]) -> "tuple[Severity, ...]":
    from pipeline.detection.timeline import Severity
    from pipeline.errors import ConfigurationError

    try:
        return tuple(Severity(name.lower()) for name in names)
    except ValueError:
        raise ConfigurationError(f"--severity {' '.join(names)!r}: use low, medium, high or critical") from None


def _report(alerts: "Sequence[Alert]", json: bool) -> int:
    from pipeline.alerts.record import ACKNOWLEDGED, CLOSED
    from pipeline.cli.output import show as show_line
    from pipeline.cli.output import show_json

    for alert in alerts:
        if json:
            owed = [{"channel": d.channel, "action": d.action, "state": d.state} for d in alert.deliveries]
            show_json({"id": alert.id, "state": alert.state, "detection": alert.detection_id, "deliveries": owed})
        else:
            standing = {ACKNOWLEDGED: alert.acknowledged, CLOSED: alert.closed}.get(alert.state)
            by = "" if standing is None else f" by {standing.by}"  # who came first, where another asks for the same
            show_line(f"{alert.id}  {alert.state}{by}  {alert.title}")
    return 0


def _table(alerts: "Sequence[Alert]") -> None:
    """Print a table. Cells are `Text` and hold no control characters, so nothing in them is markup.

    On a terminal without room for it, detection and group stand on a line of their own.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.cli.output import show as show_line
    from pipeline.events.values import printable

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH  # a line for each alert, for grep and its like
    rows = [_cells(alert) for alert in alerts]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    if sum(width + 2 for width in widths[:-1]) + min(_GROUP_MIN, widths[-1]) > console.width:
        for row in (_HEADINGS, *rows):
            show_line("  ".join(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=False)).rstrip())
            show_line(f"    {row[5]}  {row[6]}")
        return
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", no_wrap=heading not in ("DETECTION", "GROUP"))
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def _cells(alert: "Alert") -> tuple[str, ...]:
    from pipeline.alerts.behind import quoted
    from pipeline.cli.alert_detail import state_text
    from pipeline.events.values import counted, instant_text, shortened

    group = shortened(", ".join(f"{name}={quoted(value)}" for name, value in alert.group), _GROUP_MAX)
    return (
        alert.id[:12],
        instant_text(alert.episode.last_ms)[:19].replace("T", " "),
        alert.severity.value,
        state_text(alert),
        str(alert.count),
        alert.detection_id,
        counted(alert.members_total, "alert") if alert.is_rollup else group,
    )
