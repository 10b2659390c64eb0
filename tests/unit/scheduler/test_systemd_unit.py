"""The unit file says what the daemon does."""

import configparser
from pathlib import Path

import typer.main

from pipeline.cli.main import app
from pipeline.scheduler.daemon import END_S, RELEASE_S

UNIT = Path(__file__).parents[3] / "systemd" / "siemlite-scheduler.service"


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def test_its_command_is_one_of_ours() -> None:
    command, argument = service()["ExecStart"].split()
    assert command.endswith("/siemlite")
    assert argument in typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_the_manager_waits_for_ready_watches_and_gives_time_to_end() -> None:
    assert service()["Type"] == "notify"
    assert int(service()["WatchdogSec"]) >= 10
    assert int(service()["TimeoutStopSec"]) > END_S + RELEASE_S


def test_a_mistake_in_the_settings_is_not_repeated_for_ever() -> None:
    assert service()["Restart"] == "always"
    assert service()["RestartPreventExitStatus"] == "2"


def test_it_runs_without_rights_and_keeps_what_it_has_to_itself() -> None:
    assert service()["DynamicUser"] == "yes"
    assert service()["UMask"] == "0077"
    assert service()["Environment"].removeprefix("SIEMLITE_HOME=") == f"/var/lib/{service()['StateDirectory']}"
