"""What `siemlite alerts` prints."""

from dataclasses import replace

import pytest

from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import new_alert
from pipeline.cli.alerts import _table
from pipeline.detection.timeline import Severity
from tests.unit.alerts.memory_engine import address, detection


@pytest.mark.parametrize("account", ["bob, source.address=192.0.2.9", "bob,source.address=192.0.2.9"])
def test_a_value_does_not_read_like_another_field(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    episode = Episode(1, 1_750_000_000_000, 1_750_000_000_000, 1_750_000_000_000, Severity.HIGH, 5)
    alert = new_alert(detection(), "key", address("192.0.2.7"), episode, count=5)
    _table([replace(alert, group=(("user.id", account), ("service.name", "web")))])
    assert f'user.id="{account}", service.name=web' in capsys.readouterr().out
