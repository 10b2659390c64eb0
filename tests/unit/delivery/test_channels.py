"""How channels are found: by their file, or by an entry point."""

import io
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.delivery.channels.base import SendError, load_channels
from pipeline.delivery.channels.console import ConsoleChannel
from pipeline.errors import ConfigurationError
from pipeline.settings import load_settings
from tests.unit.clocks import ManualClock
from tests.unit.delivery.notices import HOSTILE, ORDINARY

THIRD_PARTY = """
from pipeline.alerts.outbox import Action

class Pigeon:
    name = {name!r}
    actions = frozenset({{Action.OPEN}})
    reaches_people = True
    def send(self, notice): ...
    def close(self): ...

def channel(settings, clock):
    {body}
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on `sys.path` with an installed distribution that brings a channel."""
    info = tmp_path / "pigeon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[siemlite.channels]\npigeon = pigeon_channel:channel\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pigeon_channel", raising=False)
    return tmp_path


def test_only_what_the_settings_ask_for_is_made_and_the_console_is_always_there() -> None:
    assert list(load_channels(load_settings(None), ManualClock())) == ["console"]
    settings = load_settings(
        None,
        slack_webhook=SecretStr("https://hooks.slack.com/services/x"),
        pagerduty_key=SecretStr("key"),
        siemlite_webhook_url=SecretStr("https://example.org/hook"),
        siemlite_webhook_secret=SecretStr("secret"),
        siemlite_smtp_host="mail.example.org",
        siemlite_email_from="a@example.org",
        siemlite_email_to="b@example.org",
    )
    made = load_channels(settings, ManualClock())
    assert sorted(made) == ["console", "email", "pagerduty", "slack", "webhook"]
    for channel in made.values():
        channel.close()


def test_a_third_party_adds_a_channel_by_an_entry_point(third_party: Path) -> None:
    (third_party / "pigeon_channel.py").write_text(THIRD_PARTY.format(name="pigeon", body="return Pigeon()"))
    assert "pigeon" in load_channels(load_settings(None), ManualClock())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("syntax error", "the channel pigeon .* cannot be loaded: SyntaxError"),
        (
            THIRD_PARTY.format(name="pigeon", body="raise KeyError('loft')"),
            "the channel pigeon cannot be made: KeyError",
        ),
        (THIRD_PARTY.format(name="console", body="return Pigeon()"), "two channels are called 'console'"),
    ],
)
def test_a_channel_that_cannot_be_made_is_named(third_party: Path, source: str, said: str) -> None:
    (third_party / "pigeon_channel.py").write_text(source)
    with pytest.raises(ConfigurationError, match=said):
        load_channels(load_settings(None), ManualClock())


def test_the_console_shows_heading_summary_and_how_to_go_on() -> None:
    stream = io.StringIO()
    ConsoleChannel(stream).send(ORDINARY)
    assert stream.getvalue() == (
        f"[HIGH] {ORDINARY.title}\n    {ORDINARY.summary}\n"
        f"    alert {ORDINARY.alert_id}: siemlite alerts show 0123456789ab\n"
    )


def test_a_console_of_few_characters_still_shows_every_alert() -> None:
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding="ascii")
    ConsoleChannel(terminal).send(HOSTILE)
    assert b"\\U0001f480" in raw.getvalue()


def test_a_closed_console_is_a_failure_like_any_other() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(SendError):
        ConsoleChannel(stream).send(ORDINARY)
