"""What people type."""

import shlex
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipeline.cli import arguments
from pipeline.cli.arguments import since_until_arguments, timezone_argument
from pipeline.cli.main import _EXAMPLES, main
from pipeline.errors import ConfigurationError


def test_lines_that_come_now_and_name_no_timezone_are_in_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "get_localzone", lambda: ZoneInfo("America/New_York"))
    assert timezone_argument(None, live=True) == ZoneInfo("America/New_York")
    assert timezone_argument(None) == ZoneInfo("UTC")
    assert timezone_argument("Europe/Berlin", live=True) == ZoneInfo("Europe/Berlin")
    with pytest.raises(ConfigurationError, match="--timezone 'Mars/Olympus' is not known"):
        timezone_argument("Mars/Olympus")


def test_a_timezone_that_has_no_name_is_what_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    try:
        zone = timezone_argument(None, live=True)
        assert datetime(2026, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=3)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_span_in_which_nothing_lies_is_a_mistake() -> None:
    day, next_day = "2026-11-24", "2026-11-25"
    assert since_until_arguments(None, None) == (None, None)
    assert since_until_arguments(day, next_day) == (1_795_478_400_000, 1_795_564_800_000)
    for until in (day, "2026-11-23"):
        with pytest.raises(ConfigurationError, match=f"--since {day} is not before --until {until}; nothing lies"):
            since_until_arguments(day, until)


@pytest.mark.parametrize("example", _EXAMPLES.values())
def test_the_example_of_a_commands_help_is_a_command(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*shlex.split(example)[1:], "--help"]) == 0
    assert example in " ".join(capsys.readouterr().out.split())


def test_the_help_says_what_an_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Exit status 0: done; 1: the thing asked about is not so; 2: wrong" in capsys.readouterr().out
