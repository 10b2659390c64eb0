"""`siemlite backtest`: when a detection would have fired over history."""

from pathlib import Path
from typing import Annotated

import typer


def backtest(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The detection.")],
    *,
    from_: Annotated[str, typer.Option("--from", help="First instant, such as 2026-11-24 or 2026-11-24T08:00Z.")],
    to: Annotated[str, typer.Option("--to", help="The instant before which it ends.")],
    at_least: Annotated[int | None, typer.Option(help="Propose this count instead of the detection's.")] = None,
    within: Annotated[str | None, typer.Option(help="Propose this window, such as 30m or 2h.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Also write the chart to this SVG file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Show the alerts that a detection would have raised in [FROM, TO), as it is and as proposed; write nothing."""
    from shutil import get_terminal_size

    from pipeline.cli.arguments import duration_argument, span_argument
    from pipeline.cli.output import progress_bar, say, show, show_json
    from pipeline.cli.start import application, stop_on_signals
    from pipeline.engine import backtest as engine
    from pipeline.engine.backtest_chart import backtest_document, chart_lines, svg
    from pipeline.errors import ConfigurationError

    span = span_argument(from_, to)
    window = None if within is None else duration_argument("--within", within)
    if chart is not None and chart.suffix.lower() != ".svg":
        raise ConfigurationError(f"--chart {chart} does not end in .svg; the chart is an SVG picture")
    stop = stop_on_signals()
    app = application()
    detection = app.loaded[id_]
    proposed = engine.retuned(detection, at_least, window)
    if not app.await_server(stop):
        return 130
    with progress_bar() as bar:
        task = bar.add_task(f"evaluating {id_}", total=1.0, note="")

        def progress(share: float) -> None:
            bar.update(task, completed=share)

        found = engine.backtest(app.engine, detection, span, proposed, progress, now_ms=app.clock.now_ms())
    if json:
        show_json(backtest_document(found))
    else:
        for line in chart_lines(found, min(120, get_terminal_size().columns - 2)):
            show(line)
    if chart is not None:  # last: what was found is told also where the file cannot be written
        try:
            chart.write_text(svg(found), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"--chart {chart} cannot be written: {error.strerror}") from None
        say(f"the chart is in {chart}")
    return 0
