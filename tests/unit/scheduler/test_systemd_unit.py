"""The unit files say what the daemon and the shipper beside it do."""

import configparser
from pathlib import Path

import typer.main

from pipeline.cli.main import app
from pipeline.scheduler.daemon import END_S, RELEASE_S

FOLDER = Path(__file__).parents[3] / "systemd"


def unit(name: str = "siemlite-scheduler") -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FOLDER / f"{name}.service")
    return parser


def service() -> configparser.SectionProxy:
    return unit()["Service"]


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


def test_of_the_two_that_share_their_settings_the_scheduler_has_the_one_address_for_health() -> None:
    ship = unit("siemlite-ship")["Service"]
    for shared in ("EnvironmentFile", "Environment", "User", "StateDirectory"):
        assert service()[shared] == ship[shared]
    assert unit()["Unit"]["Before"] == "siemlite-ship.service"
