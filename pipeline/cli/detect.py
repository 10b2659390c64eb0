"""`siemlite detect`: evaluate detections over history."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.scheduler.history import HistoryOutcome


def detect(
    from_: Annotated[str, typer.Option("--from", help="First instant, such as 2026-11-24 or 2026-11-24T08:00Z.")],
    to: Annotated[str, typer.Option("--to", help="The instant before which it ends.")],
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only this detection; may be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Raise and send nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> int:
    """Find what detections find in [FROM, TO), raise the alerts that are not there yet and deliver each.

    Exit 1 if one was not evaluated completely, 2 if a detection's file cannot be loaded.
    """
    from pipeline.cli.arguments import span_argument
    from pipeline.cli.output import progress_bar, say, show, show_json
    from pipeline.cli.start import application, stop_on_signals
    from pipeline.events.values import counted
    from pipeline.scheduler.history import deliver_all, evaluate_history

    span_ms = span_argument(from_, to)
    stop = stop_on_signals()
    app = application()
    chosen = [app.loaded[name] for name in ids] if ids else list(app.loaded.detections)
    for failure in app.loaded.failures:
        say(f"siemlite: {failure}; the other detections run")
    if not dry_run:
        app.check_channels()
    if not app.await_server(stop):
        return 130
    errors = 0
    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(chosen), note="")
        for outcome in evaluate_history(
            chosen, app.engine, None if dry_run else app.alerts, span_ms, stop, now_ms=app.clock.now_ms()
        ):
            bar.update(task, advance=1, note=outcome.detection_id)
            errors += outcome.error is not None
            if json:
                show_json(
                    {
                        "detection": outcome.detection_id,
                        "groups": len(outcome.findings),
                        "crossings": outcome.crossings,
                        "opened": outcome.opened,
                        "amended": outcome.amended,
                        "error": outcome.error,
                    }
                )
            else:
                show(f"{outcome.detection_id}: {_told(outcome, dry_run)}")
    if not dry_run:
        say(f"{counted(deliver_all(app.dispatcher, stop), 'message')} delivered")
    return 2 if app.loaded.failures else 1 if errors else 0


def _told(outcome: "HistoryOutcome", dry_run: bool) -> str:
    from pipeline.events.values import counted

    found = f"{counted(outcome.crossings, 'crossing')} in {counted(len(outcome.findings), 'group')}"
    if not dry_run:
        found += f", {counted(outcome.opened, 'alert')} opened, {outcome.amended} amended"
    if outcome.error is None:
        return found
    return (
        f"{found}; not evaluated completely: {outcome.error}" if outcome.findings else f"not evaluated: {outcome.error}"
    )
