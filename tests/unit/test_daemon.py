"""How the daemon is put together."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.alerts.closing import Closing
from pipeline.app import daemon
from pipeline.app.watching import App
from pipeline.settings import load_settings


def test_what_closes_alerts_asks_an_engine_of_its_own_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIEMLITE_HOME", str(tmp_path))
    asked: list[Any] = []

    def made(*given: Any) -> Closing:
        asked.append(given[-1])
        return Closing(*given)

    monkeypatch.setattr(daemon, "Closing", made)
    app = App(load_settings(None, elasticsearch_url="http://127.0.0.1:9"), print)
    daemon.scheduler_of(app)
    (evidence,) = asked
    assert evidence._engine is not app.engine
