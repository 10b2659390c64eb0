"""`siemlite test`: examples through the production engine, and what it says of those that fail."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from docs.generate import README
from pipeline.detection import (
    Absence,
    Custom,
    Detection,
    DistinctCount,
    Match,
    Metric,
    Severity,
    Threshold,
    Window,
    burst,
    cidr,
    event,
    late,
    minutes,
    raw,
    until,
)
from pipeline.detection.examples import Example
from pipeline.detection.realise import RealEvent, realised
from pipeline.elastic.search import Answer, Search, Searcher
from pipeline.engine import trial
from pipeline.engine.loader import BUILT_IN, load_detections
from pipeline.engine.trial import run_examples
from pipeline.engine.trial_text import verdict_document, verdict_lines
from pipeline.errors import SiemliteError
from tests.acceptance.engine_world import detection

LOW = Severity.LOW


@pytest.fixture
def client(es_ready: str) -> Elasticsearch:
    return Elasticsearch(es_ready, request_timeout=60)


def test_an_example_that_fails_is_explained(client: Elasticsearch) -> None:
    kind = Threshold(
        severity=LOW,
        where={"event.code": "LOGOUT"},
        group_by="user.id",
        at_least=3,
        within=minutes(5),
        fires=[burst(2)],
        quiet=[burst(4, fields={"user.id": "u"})],
    )
    (verdict,) = run_examples(client, [detection(kind, "wrong")], mutate=False)
    assert not verdict.passed
    assert list(verdict_lines(verdict)) == [
        "FAIL wrong: 2 of 2 examples",
        "     fires: burst of 2 stayed quiet",
        "       - wanted: 3 events within 5 minutes, by user.id",
        "       + found: nothing",
        "         00:00:00.000 to 00:00:01.000: 2 events user.id=id-0 event.code=LOGOUT",
        "     quiet: burst of 4 fired",
        "       - wanted: not 3 events within 5 minutes, by user.id",
        "       + found: user.id=u at 00:00:02.000, counting 3",
        "         00:00:00.000 to 00:00:03.000: 4 events user.id=u event.code=LOGOUT",
    ]
    assert json.loads(json.dumps(verdict_document(verdict)))["examples"][1]["crossings"][0]["at_ms"] == 2000


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (event({"source": "text"}), "Elasticsearch refuses an event: "),
        (event({"user.id": {1, 2}}), "an event cannot be written: Type is not JSON serializable: set"),
        (event(at=10**17), "an event cannot be written: "),
    ],
)
def test_an_example_that_cannot_be_written_is_named_and_stops_no_other(
    client: Elasticsearch, example: Example, said: str
) -> None:
    good = Match(severity=LOW, where={"event.code": "A"}, fires=[event()], quiet=[event({"event.code": "B"})])
    bad = Match(severity=LOW, where={"event.code": "A"}, fires=[event(), example])
    verdicts = run_examples(client, [detection(good, "good"), detection(bad, "bad")])
    assert [verdict.passed for verdict in verdicts] == [True, False]
    assert [case.error is None for case in verdicts[1].cases] == [True, False]
    assert str(verdicts[1].cases[1].error).startswith(said)


def test_examples_do_not_see_one_another_also_without_groups(client: Elasticsearch) -> None:
    kind = Threshold(severity=LOW, at_least=3, within=minutes(5), fires=[burst(3)], quiet=[burst(2), burst(2)])
    (verdict,) = run_examples(client, [detection(kind)], mutate=False)
    assert verdict.passed


def test_mutations_that_no_example_notices_are_reported(client: Elasticsearch) -> None:
    kind = Threshold(
        severity=LOW,
        where={"event.code": ["A", "B"]},
        at_least=3,
        within=minutes(5),
        fires=[burst(4)],
        quiet=[burst(2)],
    )
    (verdict,) = run_examples(client, [detection(kind)])
    assert verdict.passed
    assert verdict.untested == (
        "at_least +1",
        "within +1 ms",
        "within -1 ms",
        "where without event.code",
        "where without event.code: B",
    )


def test_a_long_list_of_values_costs_a_few_runs_and_one_line(client: Elasticsearch) -> None:
    hosts = [f"h{number}" for number in range(5_001)]
    kind = Match(severity=LOW, where={"host.name": hosts}, fires=[event()], quiet=[event({"host.name": "other"})])
    (verdict,) = run_examples(client, [detection(kind, "listed")])
    assert list(verdict_lines(verdict)) == [
        "ok   listed: 2 examples",
        "     untested: where without host.name: h263, h526, h789 and 16 more changes no example",
    ]


def test_a_run_that_is_stopped_ends_between_searches_and_gives_no_verdict(
    client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, asked = threading.Event(), 0
    many = Searcher.many

    def counted(searcher: Searcher, searches: Sequence[Search]) -> list[Answer | SiemliteError]:
        nonlocal asked
        asked += 1
        stop.set()
        return many(searcher, searches)

    monkeypatch.setattr(Searcher, "many", counted)
    hosts = [f"h{number}" for number in range(50)]
    kind = Match(severity=LOW, where={"host.name": hosts}, fires=[event()] * 50)
    assert run_examples(client, [detection(kind, "listed")], stop=stop) == ()
    assert asked <= 4
    assert client.indices.get(index="security-*").body == {}


def test_an_event_with_several_values_counts_once(client: Elasticsearch) -> None:
    roles, numbers = {"user.roles": ["a", "b", "c"]}, {"siemlite.number.value": [6, 7, 8]}
    elsewhere = event(at=minutes(6))
    counted = Custom(
        severity=LOW,
        judge=lambda window: window.count >= 3,
        fields=("user.roles",),
        group_by="user.id",
        at_least=3,
        within=minutes(5),
        fires=[burst(3, fields=roles), burst(2, fields=roles) + event(at=minutes(1))],
        quiet=[burst(2, fields=roles), burst(2, fields=roles) + elsewhere],
    )
    measured = Metric(
        severity=LOW,
        field="siemlite.number.value",
        measure="average",
        above=5,
        group_by="user.id",
        at_least=3,
        within=minutes(5),
        fires=[burst(3, fields=numbers)],
        quiet=[
            burst(2, fields=numbers),
            burst(2, fields=numbers) + event({"siemlite.number.value": 1}, at=minutes(6)),
            burst(3, fields={"siemlite.number.value": [9, 1, 1, 9]}),
        ],
    )
    for verdict in run_examples(client, [detection(counted, "counted"), detection(measured, "measured")], mutate=False):
        assert verdict.passed, list(verdict_lines(verdict))


def test_late_arrivals_and_the_clock_are_played(client: Elasticsearch) -> None:
    distinct = DistinctCount(
        severity=LOW,
        group_by="service.name",
        field="source.ip",
        where={"source.ip": cidr("198.18.0.0/15")},
        at_least=3,
        within=10,
        fires=[event({"source.ip": "198.18.1.1"}, at=9) + late(burst(2, every=1, vary="source.ip"))],
        quiet=[event({"source.ip": "198.18.1.1"}, at=12) + late(burst(2, every=1, vary="source.ip"))],
    )
    silent = Absence(
        severity=LOW,
        group_by="service.name",
        within=minutes(1),
        at_least=2,
        fires=[burst(2) + until(minutes(1) + 1000)],
        quiet=[burst(2) + until(minutes(1) + 999), burst(2) + late(event(at=30_000)) + until(minutes(1) + 1000)],
    )
    for verdict in run_examples(client, [detection(distinct, "distinct"), detection(silent, "silent")], mutate=False):
        assert verdict.passed, list(verdict_lines(verdict))


def test_a_detection_whose_query_is_refused_fails_alone(client: Elasticsearch) -> None:
    broken = Threshold(severity=LOW, where=raw({"nonsense": {}}), at_least=1, within=1, fires=[event()])
    well = Threshold(severity=LOW, at_least=1, within=1, fires=[event()])
    verdicts = run_examples(client, [detection(broken, "broken"), detection(well, "well")], mutate=False)
    assert [verdict.passed for verdict in verdicts] == [False, True]
    assert "unknown query [nonsense]" in "\n".join(verdict_lines(verdicts[0]))


def test_an_example_of_which_no_events_can_be_made_fails_alone(
    client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def realise(one: Detection, *rest: Any) -> Iterator[RealEvent]:
        if one.id == "broken":
            raise TypeError("no event")
        return realised(one, *rest)

    monkeypatch.setattr(trial, "realised", realise)
    kind = Threshold(severity=LOW, at_least=1, within=1, fires=[event()])
    verdicts = run_examples(client, [detection(kind, "broken"), detection(kind, "well")], mutate=False)
    assert [verdict.passed for verdict in verdicts] == [False, True]
    assert verdicts[0].cases[0].error == "no events can be made of it: TypeError: no event"


def test_a_detection_without_an_example_that_fires_does_not_pass(client: Elasticsearch) -> None:
    kind = Threshold(severity=LOW, at_least=2, within=1, quiet=[event()])
    (verdict,) = run_examples(client, [detection(kind, "bare")])
    assert next(verdict_lines(verdict)) == "FAIL bare: has no example that fires; add one, such as fires=[burst(5)]"


def test_nothing_is_left_behind_and_nothing_real_is_touched(client: Elasticsearch) -> None:
    kind = Threshold(severity=LOW, at_least=1, within=1, fires=[event()])
    run_examples(client, [detection(kind)])
    assert client.indices.get(index="security-*").body == {}


def test_watching_runs_what_was_edited_and_nothing_else(es_ready: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    text = (
        '"""Mine."""\nfrom pipeline.detection import Severity, Threshold, burst\n'
        "detection = Threshold(severity=Severity.LOW, at_least=2, within=5_000, fires=[burst(1)])\n"
    )
    (own / "mine.py").write_text(text)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIEMLITE_")},
        "ELASTICSEARCH_URL": es_ready,
        "SIEMLITE_HOME": str(tmp_path / "home"),
        "SIEMLITE_DETECTIONS": str(own),
    }
    command = [sys.executable, "-m", "pipeline.cli.main", "test", "--watch", "--no-mutate", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout is not None
        try:
            lines = map(json.loads, watching.stdout)
            first = [next(lines) for _ in range(len(load_detections([BUILT_IN]).detections) + 1)]
            assert [line["detection"] for line in first if not line["passed"]] == ["mine"]
            (own / "mine.py").write_text(text.replace("burst(1)", "burst(2)"))
            again = next(lines)
            assert (again["detection"], again["passed"]) == ("mine", True)
        finally:
            watching.send_signal(signal.SIGINT)
        assert list(lines) == []
        assert watching.wait(60) == 0


def test_the_command_says_what_failed_and_exits_accordingly(es_ready: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text(
        '"""Mine."""\nfrom pipeline.detection import Severity, Threshold, burst\n'
        "detection = Threshold(severity=Severity.LOW, at_least=2, within=5_000, fires=[burst(1)])\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIEMLITE_")},
            "ELASTICSEARCH_URL": es_ready,
            "SIEMLITE_HOME": str(tmp_path / "home"),
            "SIEMLITE_DETECTIONS": str(own),
        }
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli.main", "test", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )

    failed = run("--id", "mine", "--json")
    assert failed.returncode == 1, failed.stderr
    assert json.loads(failed.stdout)["passed"] is False
    (own / "mine.py").write_text((own / "mine.py").read_text().replace("burst(1)", "burst(2)"))
    assert run("--id", "mine", "--no-mutate").returncode == 0
    (own / "broken.py").write_text("x = (")
    broken = run("--id", "mine")
    assert broken.returncode == 2
    assert "broken.py:1: syntax error" in broken.stderr


def test_an_example_at_which_the_judge_fails_in_part_does_not_pass(client: Elasticsearch) -> None:
    def judge(window: Window) -> bool:
        return int(str(window.latest[0].values[0])) > 5

    paid = [event(at=n * 1_000, fields={"siemlite.data.amount": amount}) for n, amount in enumerate(("1e3", "50"))]
    kind = Custom(severity=LOW, judge=judge, fields=("siemlite.data.amount",), fires=[paid[0] + paid[1]])
    (verdict,) = run_examples(client, [detection(kind, "amounts")])
    assert not verdict.passed
    assert "failed at 1 of 2 instants: ValueError" in str(verdict.cases[0].error)


@pytest.mark.parametrize(("document", "files"), [(README, 1), (README.parent / "docs" / "writing-detections.md", 4)])
def test_the_detections_in_the_documents_are_tested_to_their_end(
    client: Elasticsearch, tmp_path: Path, document: Path, files: int
) -> None:
    examples = re.findall(r'```python\n(""".*?)```', document.read_text(encoding="utf-8"), re.DOTALL)
    for number, example in enumerate(examples):
        (tmp_path / f"number_{number}.py").write_text(example)
    loaded = load_detections([tmp_path])
    assert (loaded.failures, len(loaded.detections)) == ((), files)
    for verdict in run_examples(client, loaded.detections):
        assert (verdict.passed, verdict.untested) == (True, ()), list(verdict_lines(verdict))
