"""What `siemlite drill` says by its exit status."""

import threading
from types import SimpleNamespace

import pytest

from pipeline import drill
from pipeline.cli import start
from pipeline.cli.main import main
from pipeline.drill import FIRST, DrillResult
from pipeline.engine.loader import Loaded
from pipeline.errors import ConfigurationError

TOLD = DrillResult(FIRST, "drill-1", 1.0, 2.0, ("console",))
NOT_TOLD = DrillResult(FIRST, "drill-1", reason="no alert was raised within 60 s")


@pytest.mark.parametrize(
    ("result", "failures", "status"),
    [(TOLD, 0, 0), (NOT_TOLD, 0, 1), (TOLD, 1, 2), (NOT_TOLD, 1, 2)],
)
def test_a_file_that_cannot_be_loaded_is_told_from_a_drill_of_which_nobody_was_told(
    monkeypatch: pytest.MonkeyPatch, result: DrillResult, failures: int, status: int
) -> None:
    loaded = Loaded((), (ConfigurationError("mine.py: has no `detection`"),) * failures)
    app = SimpleNamespace(loaded=loaded, await_server=lambda _: True)
    monkeypatch.setattr(start, "application", lambda: app)
    monkeypatch.setattr(start, "stop_on_signals", threading.Event)
    monkeypatch.setattr(drill, "chosen_for_drill", lambda *_, **__: ())
    monkeypatch.setattr(drill, "run_drills", lambda *_, **__: iter((result,)))
    assert main(["drill"]) == status


def test_a_name_beside_all_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="--all drills every detection; leave it out, or mine"):
        drill.chosen_for_drill(Loaded(()), ("mine",), everything=True)
