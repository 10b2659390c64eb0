"""`siemlite scheduler`: the daemon."""


def scheduler() -> int:
    """Evaluate detections and deliver alerts until SIGTERM."""
    from pipeline.cli.output import say
    from pipeline.cli.start import application, stop_on_signals

    stop = stop_on_signals()
    app = application()
    app.check_channels()
    for failure in app.loaded.failures:
        say(f"siemlite: {failure}; the other detections run")
    if not app.await_server(stop):
        return 0
    say(f"watching with {len(app.loaded.detections)} detections")
    app.scheduler().run(stop)
    return 0
