"""`siemlite test`: run the examples that detections carry."""

from typing import Annotated

import typer


def examples(
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only this detection; may be repeated.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever a file changes, until Ctrl-C.")] = False,
    mutate: Annotated[bool, typer.Option(help="Also look for changes that no example would notice.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> int:
    """Run each detection's examples through the engine, on an index of their own in Elasticsearch.

    Exit 1 if an example does not do what its detection says, 2 if a file cannot be loaded.
    """
    from pipeline.cli.output import say, show, show_json
    from pipeline.cli.start import application, stop_on_signals
    from pipeline.engine.loader import changes, folders, load_detections
    from pipeline.engine.trial import run_examples
    from pipeline.engine.trial_text import verdict_document, verdict_lines
    from pipeline.events.values import counted

    stop = stop_on_signals()
    app = application()
    where = folders(app.settings.siemlite_detections)
    if not app.await_server(stop):
        return 130
    status = 0
    for changed in changes(where, lambda: not watch or app.clock.wait(stop, 0.3)):
        loaded = load_detections(where)
        for failure in loaded.failures:
            say(f"siemlite: {failure}")
        known = [name for name in ids or () if name not in loaded.broken]  # that a file is broken has been said
        chosen = [loaded[name] for name in known] if ids else [d for d in loaded.detections if d.path in changed]
        started = app.clock.monotonic()
        verdicts = run_examples(app.client, chosen, mutate=mutate, stop=stop)
        if len(verdicts) < len(chosen):
            return status if watch else 130
        for verdict in verdicts:
            if json:
                show_json(verdict_document(verdict))
                continue
            for line in verdict_lines(verdict):
                show(line)
        failed = sum(not verdict.passed for verdict in verdicts)
        untested = sum(bool(verdict.untested) for verdict in verdicts)
        seconds = app.clock.monotonic() - started
        tried = counted(len(verdicts), "detection")
        say(f"{tried}: {failed} failed, {untested} not tested to the end, in {seconds:.1f} s")
        status = 2 if loaded.failures else 1 if failed else 0
    return status
