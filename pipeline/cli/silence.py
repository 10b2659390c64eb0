"""`siemlite silence`: what nobody wants to be told of, until when and why."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.alerts.silences import Silence
    from pipeline.detection.detection import Detection

app = typer.Typer(no_args_is_help=True, help="Silences: add, list, expire.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; the user of this terminal otherwise.")]


@app.command()
def add(
    *,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; shown on every alert that it silences.")],
    duration: Annotated[str | None, typer.Option("--for", help="How long, such as 2h or 7d.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, such as 2026-11-24T18:00Z.")] = None,
    detection: Annotated[str | None, typer.Option(help="A detection's id, or a pattern such as brute_*.")] = None,
    value: Annotated[list[str] | None, typer.Option(help="FIELD=VALUE of the group; may be repeated.")] = None,
    cidr: Annotated[str | None, typer.Option(help="A network that an address of the group lies in.")] = None,
    by: By = None,
    json: Json = False,
) -> int:
    """Silence the alerts that meet all conditions. They are recorded all the same, with the silence on them."""
    from pipeline.cli.alerts import person
    from pipeline.cli.arguments import duration_argument, instant_argument
    from pipeline.cli.output import say
    from pipeline.cli.start import application
    from pipeline.errors import ConfigurationError

    if (duration is None) == (until is None):
        raise ConfigurationError("give the end of the silence: either --for 2h or --until 2026-11-24T18:00Z")
    pairs = []
    for given in value or ():
        name, equals, wanted = given.partition("=")
        if not equals or not name or not wanted:
            raise ConfigurationError(f"--value {given!r} is not FIELD=VALUE, such as source.address=192.0.2.1")
        pairs.append((name, wanted))
    app_ = application()
    if until is not None:
        until_ms = instant_argument("--until", until)
    else:
        until_ms = app_.clock.now_ms() + duration_argument("--for", str(duration))
    silence = app_.silences.add(
        author=person(by),
        reason=reason,
        until_ms=until_ms,
        detection=detection,
        values=tuple(pairs),
        cidr=cidr,
    )
    _show(silence, json)
    try:
        doubts = list(_doubts(silence, app_.loaded.detections))
    except ConfigurationError as error:  # The silence is kept whatever may be wrong with the detections.
        doubts = [str(error)]
    for doubt in doubts:
        say(f"siemlite: {doubt}")
    return 0


def _doubts(silence: "Silence", detections: "Sequence[Detection]") -> Iterator[str]:
    """Yield why a silence may silence nothing: it is kept all the same, for other detections may come."""
    named = silence.detection
    if named is not None and named.startswith("siemlite_"):
        return
    fitting = [detection for detection in detections if named is None or fnmatchcase(detection.id, named)]
    if not fitting:
        yield f"no detection here is called {named}; the silence is kept, and silences nothing there is now"
        return
    for name, _ in silence.values:
        if not any(name in detection.group_by for detection in fitting):
            called = "" if named is None else f" called {named}"
            yield f"no detection here{called} groups by {name}; the silence is kept, and silences nothing there is now"


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False, json: Json = False
) -> int:
    """List the silences, the latest first."""
    from pipeline.cli.start import application

    for silence in application().silences.listed(everything=everything):
        _show(silence, json)
    return 0


@app.command()
def expire(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="The silences' ids.")],
    by: By = None,
    json: Json = False,
) -> int:
    """End silences now."""
    from pipeline.cli.alerts import person
    from pipeline.cli.start import application

    silences = application().silences
    for silence_id in ids:
        _show(silences.expire(silence_id, person(by)), json)
    return 0


def _show(silence: "Silence", json: bool) -> None:
    from pipeline.cli.output import show, show_json
    from pipeline.events.values import instant_text

    conditions: dict[str, Any] = {"detection": silence.detection, "values": dict(silence.values), "cidr": silence.cidr}
    if json:
        show_json(
            {
                "id": silence.id,
                "author": silence.author,
                "reason": silence.reason,
                "created": instant_text(silence.created_ms),
                "until": instant_text(silence.until_ms),
                "expired_by": silence.expired_by,
                **conditions,
            }
        )
        return
    said = [f"{n}={v}" for n, v in (*silence.values, ("detection", silence.detection), ("cidr", silence.cidr)) if v]
    over = f", ended by {silence.expired_by}" if silence.expired_by else ""
    what = f"{silence.id}  until {instant_text(silence.until_ms)}{over}  {' '.join(said)}"
    show(f"{what}  {silence.author}: {silence.reason}")
