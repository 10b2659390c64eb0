"""`siemlite backtest` over real history."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.engine_world import HOUR, MINUTE, NOON, World, failure

BACKTEST = (sys.executable, "-m", "pipeline.cli.main", "backtest")


@pytest.fixture
def world(es_ready: str) -> World:
    return World(es_ready)


def environment(world: World, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIEMLITE_")},
        "ELASTICSEARCH_URL": world.url,
        "SIEMLITE_HOME": str(tmp_path / "home"),
    }


def run(world: World, tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*BACKTEST, *arguments],
        capture_output=True,
        text=True,
        env=environment(world, tmp_path),
        timeout=120,
        check=False,
    )


def test_current_and_proposed_values_are_shown_side_by_side(world: World, tmp_path: Path) -> None:
    world.write(failure(NOON + n, "one") for n in range(5))
    world.write(failure(NOON + 3 * HOUR + n, "one") for n in range(9))
    world.write(failure(NOON + n * 4 * MINUTE, "slow") for n in range(5))
    span = ("--from", "2026-01-01", "--to", "2026-01-02")
    picture = tmp_path / "chart.svg"
    done = run(world, tmp_path, "brute_force_by_address", *span, "--at-least", "8", "--chart", str(picture), "--json")
    assert done.returncode == 0, done.stderr
    current, proposed = json.loads(done.stdout)["variants"]
    assert [alert["group"]["source.address"] for alert in current["alerts"]] == ["one", "one"]
    assert [alert["first_crossing"] for alert in proposed["alerts"]] == ["2026-01-01T15:00:00.007Z"]
    assert picture.read_text().startswith("<svg")
    wider = run(world, tmp_path, "brute_force_by_address", *span, "--within", "20m")
    assert "proposed: 5 events within 20 minutes: 3 alerts of 2 groups" in wider.stdout
    nowhere = str(tmp_path / "nowhere" / "chart.svg")
    unwritten = run(world, tmp_path, "brute_force_by_address", *span, "--within", "20m", "--chart", nowhere)
    assert (unwritten.returncode, unwritten.stdout) == (2, wider.stdout)
    assert unwritten.stderr == f"siemlite: --chart {nowhere} cannot be written: No such file or directory\n"
    assert world.client.indices.exists(index="security-alerts-v1").body is False


def test_what_cannot_be_proposed_is_refused_in_one_line(world: World, tmp_path: Path) -> None:
    span = ("--from", "2026-01-01", "--to", "2026-01-02")
    for arguments, words in (
        (("mfa_disabled", *span, "--at-least", "3"), "has no at_least"),
        (("mfa_disabled", *span, "--within", "soon"), "--within 'soon' is not a duration"),
        (("nothing", *span), "there is no detection 'nothing'"),
        (("mfa_disabled", *span, "--chart", "x.png"), "does not end in .svg"),
    ):
        done = run(world, tmp_path, *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_progress_is_drawn_on_a_terminal_and_nowhere_else(world: World, tmp_path: Path) -> None:
    world.write(failure(NOON + n, "one") for n in range(5))
    arguments = ("brute_force_by_address", "--from", "2026-01-01", "--to", "2026-01-02")
    assert run(world, tmp_path, *arguments).stderr == ""
    screen, terminal = pty.openpty()
    try:
        shown = environment(world, tmp_path) | {"TERM": "xterm", "COLUMNS": "100"}
        done = subprocess.run(
            [*BACKTEST, *arguments], stdout=subprocess.PIPE, stderr=terminal, env=shown, timeout=120, check=True
        )
    finally:
        os.close(terminal)
    with os.fdopen(screen, "rb", buffering=0) as seen:  # With nobody left to write, an empty screen is an error.
        drawn = seen.read(65_536).decode()
    assert "evaluating brute_force_by_address" in drawn
    assert "100%" in drawn
    assert b"evaluating" not in done.stdout
