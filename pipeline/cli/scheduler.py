"""`siemlite scheduler`: the daemon."""


def scheduler() -> int:
    """Evaluate detections and deliver alerts until SIGTERM; SIGHUP reloads the detections."""
    from pipeline.app.daemon import scheduler_of
    from pipeline.cli.output import say
    from pipeline.cli.start import application, on_hangup, stop_on_signals
    from pipeline.drill import canary
    from pipeline.events.values import counted

    stop = stop_on_signals()
    app = application()
    app.check_channels()
    detections = app.live_detections
    on_hangup(detections.ask)
    for failure in detections.failures:
        say(f"siemlite: {failure}; the other detections run")
    app.refuse_wrong_credentials()
    say(f"watching with {counted(len(detections.detections), 'detection')}")
    scheduler_of(app, canary=lambda: canary(app, stop)).run(stop)
    return 0
