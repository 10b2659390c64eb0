"""The coverage ledger: what each detection really evaluated, and `siemlite coverage` that shows it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.alerts.ports import ApplyResult
from pipeline.detection import Detection, Severity, Threshold, minutes
from pipeline.elastic.compare_and_set import CONTROL_INDEX
from pipeline.engine.finding import Finding
from pipeline.events.values import instant_text
from pipeline.scheduler.checkpoints import Checkpoints
from pipeline.scheduler.ledger import Ledger, ledgers
from pipeline.scheduler.passes import PassOutcome, run_pass
from tests.acceptance.engine_world import DAY, HOUR, NOON, World, detection, failure, index_of
from tests.command import on_a_terminal
from tests.unit.clocks import ManualClock

BY_USER = detection(
    Threshold(severity=Severity.LOW, group_by="user.id", at_least=99, within=minutes(5)), "brute_force_by_account"
)


class Nobody:
    """Takes findings and keeps none."""

    def apply(self, detection: Detection, findings: Sequence[Finding], *, on_purpose: bool = False) -> ApplyResult:
        """See `Alerts.apply`."""
        return ApplyResult()


def one_pass(world: World, clock: ManualClock) -> PassOutcome:
    return run_pass([BY_USER], world.engine, Nobody(), Checkpoints(world.client, clock), clock)


def test_the_ledger_says_what_was_evaluated_what_not_and_how_late(es_ready: str) -> None:
    world, clock = World(es_ready), ManualClock(NOON)
    one_pass(world, clock)
    clock.advance(5)
    world.write([failure(NOON + 1_000 + n) for n in range(3)])
    world.write([failure(NOON + 4_000 + n, user=None) for n in range(2)])
    world.write([failure(NOON - 2 * DAY)])
    elsewhere = {**failure(NOON + 1_500), "@timestamp": instant_text(NOON + 1_500), "event.id": "astray"}
    world.client.index(index=index_of(NOON + DAY), id="astray", document=elsewhere)
    one_pass(world, clock)
    clock.advance(65)
    one_pass(world, clock)
    world.client.indices.refresh(index=CONTROL_INDEX)
    assert dict(ledgers(world.client)) == {
        BY_USER.id: Ledger(
            evaluated=6,
            too_late=1,
            misfiled=1,
            without_group=2,
            at_ms=NOON + 70_000,
            delay_ms=65_000,
            longest_delay_ms=65_000,
            oldest_ms=NOON + 1_000,
            newest_ms=NOON + 1_999,
        )
    }


def test_a_pass_that_fails_leaves_the_ledger_where_it_was(es_ready: str) -> None:
    world, clock = World(es_ready), ManualClock(NOON)
    one_pass(world, clock)
    clock.advance(60)
    world.client.indices.create(
        index="security-logs-2026.01.01", mappings={"properties": {"user": {"properties": {"id": {"type": "text"}}}}}
    )
    world.client.index(
        index="security-logs-2026.01.01", document={"@timestamp": NOON + HOUR, "user.id": "u"}, refresh=True
    )
    assert one_pass(world, clock).failed
    world.client.indices.refresh(index=CONTROL_INDEX)
    own = dict(ledgers(world.client))[BY_USER.id]
    assert (own.at_ms, own.evaluated, own.behind) == (NOON, 0, 1)


def test_the_command_shows_the_ledger_and_fails_where_something_was_not_evaluated(
    es_ready: str, tmp_path: Path
) -> None:
    world, clock = World(es_ready), ManualClock(NOON)
    world.write([failure(NOON - 1 - n) for n in range(3)])
    one_pass(world, clock)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIEMLITE_")},
        "ELASTICSEARCH_URL": es_ready,
        "SIEMLITE_HOME": str(tmp_path / "home"),
    }
    world.client.indices.refresh(index=CONTROL_INDEX)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "coverage", "--json"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    narrow = on_a_terminal(environment, 80, "coverage")
    name, told = narrow[narrow.index(BY_USER.id) :][:2]
    assert told.startswith("    3 evaluated, last pass ")
    assert any(name in line and " 3 " in line for line in on_a_terminal(environment, 140, "coverage"))
    lines = {line["detection"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert (lines[BY_USER.id]["evaluated"], lines[BY_USER.id]["late"]) == (3, True)
    assert lines["mfa_disabled"]["at_ms"] is None
