"""One pass and one round of deliveries in a process of its own, which is killed at a step of the test's choice.

A step is a request to Elasticsearch or a message to a channel; the process is killed by SIGKILL right before it.
"""

import os
import signal
from itertools import count
from pathlib import Path
from typing import Any

from elastic_transport import Transport
from pydantic import SecretStr

from pipeline.app.watching import App
from pipeline.clock import SystemClock
from pipeline.delivery.channels.http import Poster
from pipeline.engine.loader import folders, load_detections
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.passes import run_pass
from pipeline.settings import load_settings

DETECTIONS = load_detections(folders(None)).detections
"""Loaded before the process is forked off: each loads them in a third of a second else."""


class ShiftedClock(SystemClock):
    """The machine's clock, set forward."""

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        """See `Clock.now_ms`."""
        return super().now_ms() + self._ahead_ms


def work(es_url: str, slack_url: str, home: str, kill_at: int, ahead_ms: int) -> None:
    """Evaluate and deliver; be killed at step `kill_at` (0: at none)."""
    steps = count(1)
    perform, post = Transport.perform_request, Poster.post

    def step() -> None:
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def perform_request(self: Transport, *args: Any, **kwargs: Any) -> Any:
        step()
        return perform(self, *args, **kwargs)

    def post_message(self: Poster, *args: Any, **kwargs: Any) -> Any:
        step()
        return post(self, *args, **kwargs)

    Transport.perform_request = perform_request  # type: ignore[method-assign]
    Poster.post = post_message  # type: ignore[method-assign]
    settings = load_settings(
        None, elasticsearch_url=es_url, slack_webhook=SecretStr(slack_url), siemlite_home=Path(home)
    )
    app = App(settings, print, ShiftedClock(ahead_ms))
    checkpoints = Checkpoints(app.client, app.clock)
    run_pass(DETECTIONS, app.engine, app.alerts, checkpoints, app.clock)
    while app.dispatcher.dispatch_due():
        pass
