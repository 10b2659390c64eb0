"""SIGKILL at every step from the finding to the recorded delivery: nobody is left untold, no alert is doubled."""

import multiprocessing
import time
from collections import Counter
from pathlib import Path

from pipeline.alerts.search import all_alerts, refresh
from pipeline.delivery.dispatcher import CLAIM_MS
from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.acceptance.attacks import fail_logins
from tests.acceptance.crashing import work
from tests.unit.delivery.receiver import receiver

STEPS_MAX = 200


def test_wherever_the_scheduler_is_killed_each_attack_is_one_alert_and_is_told(
    es_ready: str, tmp_path: Path, capsys: object
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.acceptance.crashing"])
    client = connect(Settings(_env_file=None), es_ready)
    with receiver() as slack:

        def run(kill_at: int, ahead_ms: int = 0) -> int | None:
            process = context.Process(target=work, args=(es_ready, slack.url, str(tmp_path), kill_at, ahead_ms))
            process.start()
            process.join(60)
            return process.exitcode

        assert run(0) == 0
        killed = 0
        for step in range(1, STEPS_MAX):
            now = time.time_ns() // 1_000_000
            fail_logins(client, f"203.0.113.{step}", [now - n for n in range(5)])
            exitcode = run(step)
            if exitcode == 0:
                break
            assert exitcode == -9
            killed += 1
            assert run(0, step * 2 * CLAIM_MS) == 0
        assert 10 < killed < STEPS_MAX - 2
    refresh(client)
    alerts = [a for a in all_alerts(client, {"match_all": {}}) if a.detection_id == "brute_force_by_address"]
    assert Counter(a.group[0][1] for a in alerts) == Counter(f"203.0.113.{n + 1}" for n in range(killed + 1))
    assert {d.state.value for a in alerts for d in a.deliveries} == {"sent"}
    told = Counter(a.id for a in alerts for body in slack.requests if a.id in body.body.decode())
    assert set(told) == {a.id for a in alerts}
    print(f"killed at {killed} steps; {sum(told.values()) - len(told)} of {sum(told.values())} messages were repeated")
    client.close()
