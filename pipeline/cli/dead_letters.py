"""`siemlite dead-letters`: see the events that Elasticsearch refused, and send them again."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Events that Elasticsearch refused.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]


@app.command("list")
def list_(json: Json = False, replayed: Annotated[bool, typer.Option(help="Also those sent again.")] = False) -> int:
    """List the dead letters, those of the local file and then those of the index, the oldest first."""
    from dataclasses import asdict

    from pipeline.cli.output import show, show_json
    from pipeline.cli.start import shipping_application
    from pipeline.shipping.replay import kept_letters

    app_ = shipping_application()
    for letter in kept_letters(app_.client, app_.settings.siemlite_home, replayed=replayed):
        if json:
            show_json(asdict(letter))
        else:
            show(f"{letter.kept_at}  {letter.event_id}  {letter.index}  {letter.state}  {letter.reason[:200]}")
    return 0


@app.command()
def replay(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """Send the dead letters again, once what refused them is mended; exit 1 if any is refused still."""
    from pipeline.cli.output import progress_bar, show, show_json
    from pipeline.cli.start import shipping_application
    from pipeline.shipping.replay import replay as replay_letters

    app_ = shipping_application()
    with progress_bar() as bar:
        task = bar.add_task("replaying", total=None, note="")
        result = replay_letters(
            app_.client,
            app_.settings.siemlite_home,
            app_.clock.now_ms(),
            lambda tried: bar.update(task, completed=tried, note=f"{tried} tried"),
        )
    if json:
        show_json({"stored": result.stored, "refused": result.refused, "reason": result.reason})
    else:
        show(f"{result.stored} stored, {result.refused} still refused")
        if result.reason:
            show(f"one of them is {result.reason}")
    return 1 if result.refused else 0
