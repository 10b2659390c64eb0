"""Detection beside a peer, many detections at once, long retention, examples. `make bench-detect` runs it.

Four questions on a real Elasticsearch, the first three on the events of `detect_events`:

- history: "5 failed logins from one address within 15 minutes" over all events, by siemlite and by ElastAlert2
  (`frequency` with `query_key`), each in one process from its start to its end. Processor time is that of the
  process and of the server together. Answers are compared with the truth, found by looking at each event. What a
  start takes is measured by asking the same of a day that has no events.
- many: the time of a pass of 1,000 detections, each matching at least one percent of the events, while 2,000 events
  a second arrive and 5 s lie between passes.
- retention: the time of a pass of 100 detections with one day of events, and with 30.
- examples: the time of `siemlite test`, from its start to its end: all built-in detections, mutations included.

The peer's Python is `--peer PYTHON` (see bench/README.md); where it is missing, it is left out and said so.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import httpx
import orjson
from rich.console import Console

from bench import machine
from bench.contenders import siemlite_command, siemlite_environment
from bench.detect_events import AT_LEAST, BEGIN_MS, DAY_MS, TOTAL, WITHIN_MS, bulk_bodies, events, truth
from bench.detect_report import RECORD, ExamplesRun, HistoryRun, PassRun, record, show, verdict
from bench.measure import Child, Command, own_cpu_seconds
from bench.server import Server, benchmark_server
from bench.ship import RESULTS, end_on_sigterm
from pipeline.detection import Detection, Severity, Threshold, minutes
from pipeline.elastic.client import connect
from pipeline.engine.checkpoint import Checkpoint, Position
from pipeline.engine.engine import Engine
from pipeline.engine.indices import look
from pipeline.events.catalogue import CATALOGUE
from pipeline.settings import load_settings

PARTS = ("history", "many", "retention", "examples")
ATTACKERS = (20, 1_000)
PASSES = 3
WARM_UPS = 3
SHORT_PASSES = 15
"""Of passes that take a fraction of a second, more are needed to tell two medians apart."""

RUNS = {"siemlite": 5, "ElastAlert2": 1}
"""Of a run that takes a second, a tenth more or less is noise; of one that takes a minute it is not."""

RATE = 2_000
PAUSE_S = 5
DAYS = 30
_RUN_SECONDS = 3_600.0
_WARM_UPS_MOST = 20
_STILL_WARMING = 0.9
_LOOK_SECONDS = 0.5
_QUIET_LOOKS = 4
_MIB = 1024 * 1024
_PEER_SCRIPT = Path(__file__).parent / "peers" / "elastalert_frequency.py"


class Bench:
    """The benchmark on one server."""

    def __init__(self, server: Server, console: Console) -> None:
        self.server, self.console = server, console
        self.http = httpx.Client(base_url=server.url, timeout=300)
        self.client = connect(load_settings(None), server.url)

    def store(self, found: list[dict[str, Any]]) -> None:
        """Index events and make them searchable."""
        for body in bulk_bodies(found):
            answer = self.http.post(
                "/_bulk?filter_path=errors", content=body, headers={"content-type": "application/x-ndjson"}
            )
            if answer.json()["errors"]:
                raise SystemExit("the server refused events of the benchmark")
        self.http.post("/security-logs-*/_refresh").raise_for_status()

    def rest(self) -> None:
        """Wait until the server merges no more segments: that is the work of storing, not of detecting."""
        path = "/security-logs-*/_stats/merge?filter_path=_all.total.merges.current"
        quiet = 0
        while quiet < _QUIET_LOOKS:
            time.sleep(_LOOK_SECONDS)
            merging = self.http.get(path).json().get("_all", {}).get("total", {}).get("merges", {}).get("current", 0)
            quiet = 0 if merging else quiet + 1

    def history(self, attackers: int, total: int, length: int, peer: str | None) -> list[HistoryRun]:
        """Run the contenders over one set of events, `length` minutes of them."""
        self.console.print(f"storing {total:,} events of {length} minutes, {attackers} attackers")
        self.server.fresh()
        found = events(attackers, total, length_ms=minutes(length))
        self.store(found)
        right = truth(found, AT_LEAST, WITHIN_MS)
        del found
        self.rest()
        span = (BEGIN_MS, BEGIN_MS + minutes(length))
        before = (BEGIN_MS - DAY_MS, BEGIN_MS - DAY_MS // 2)
        names = ["siemlite"] if peer is None else ["siemlite", "ElastAlert2"]
        asked = (total, length, attackers)
        self._warm_up(self._command("siemlite", peer, span), asked, right)
        runs = []
        for name in names:
            start = self._median(name, self._command(name, peer, before), asked, {})
            run = self._median(name, self._command(name, peer, span), asked, right)
            runs.append(replace(run, start_cpu=start.cpu))
        return runs

    def _median(
        self, name: str, argv: Sequence[str], asked: tuple[int, int, int], right: dict[str, list[int]]
    ) -> HistoryRun:
        """Return the run in the middle of `RUNS` by processor time; where an answer is not exact, that run."""
        runs = [self._run(name, argv, asked, right) for _ in range(RUNS[name])]
        wrong = [run for run in runs if not run.answer.startswith("exact")]
        return wrong[0] if wrong else sorted(runs, key=lambda run: run.cpu)[len(runs) // 2]

    def _command(self, name: str, peer: str | None, span: tuple[int, int]) -> list[str]:
        """Return what evaluates the events of `span`."""
        asked = map(str, (*span, AT_LEAST, WITHIN_MS))
        if peer is None or name == "siemlite":
            return [sys.executable, "-m", "bench.detect_once", self.server.url, *asked]
        host, _, port = self.server.url.removeprefix("http://").rstrip("/").partition(":")
        return [peer, str(_PEER_SCRIPT), host, port, "security-logs-*", *asked, self.server.version]

    def _warm_up(self, argv: Sequence[str], asked: tuple[int, int, int], right: dict[str, list[int]]) -> None:
        """Ask the server until it answers no cheaper: both contenders meet it as one that has run for a while."""
        least, idle = float("inf"), 0
        for _ in range(_WARM_UPS_MOST):
            cpu = self._run("warming up", argv, asked, right).server_cpu
            idle = 0 if cpu < least * _STILL_WARMING else idle + 1
            least = min(least, cpu)
            if idle > 2:
                return

    def _run(
        self, name: str, argv: Sequence[str], asked: tuple[int, int, int], right: dict[str, list[int]]
    ) -> HistoryRun:
        self.console.print(name)
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "log")
            server, began = self.server.cpu_seconds() or 0.0, time.monotonic()
            child = Child(Command(argv, folder=Path(__file__).parent.parent), log)
            try:
                child.wait(_RUN_SECONDS)
            finally:
                child.kill()
            child.check()
            seconds, server = time.monotonic() - began, (self.server.cpu_seconds() or 0.0) - server
            found = orjson.loads(log.read_bytes().strip().rpartition(b"\n")[2])
        return HistoryRun(name, *asked, seconds, child.cpu, server, child.peak_bytes / _MIB, verdict(found, right))

    def passes(
        self, what: str, detections: Sequence[Detection], stored: int, now_ms: int, number: int = PASSES
    ) -> PassRun:
        """Time `number` passes of `detections` over what arrives between them."""
        engine = Engine(self.client, verify_mark=lambda *_: False)
        reached = Checkpoint({shard: Position(upto) for _, shard, upto in look(self.client).shards()}, now_ms, now_ms)
        since = {detection.id: reached for detection in detections}
        seconds, client, server, incomplete = [], [], [], 0
        for _ in range(number):
            self.store(events(0, RATE * PAUSE_S, now_ms, PAUSE_S * 1_000, seed=now_ms % 1_000_003))
            now_ms += PAUSE_S * 1_000
            began, own, its = time.monotonic(), own_cpu_seconds(), self.server.cpu_seconds() or 0.0
            results = list(engine.evaluate(detections, since, now_ms))
            seconds.append(time.monotonic() - began)
            client.append(own_cpu_seconds() - own)
            server.append((self.server.cpu_seconds() or 0.0) - its)
            since = {result.detection.id: result.checkpoint for result in results}
            incomplete += sum(not result.complete for result in results)
        return PassRun(what, len(detections), stored, median(seconds), median(client), median(server), incomplete)

    def many(self, total: int) -> PassRun:
        """Time passes of 1,000 detections with `total` events before them, stored at the rate of arrival."""
        self.console.print(f"1,000 detections over {total:,} events")
        self.server.fresh()
        length_ms = total // RATE * 1_000
        noon_ms = BEGIN_MS + DAY_MS // 2
        self.store(events(20, total, noon_ms - length_ms, length_ms))
        self.rest()
        return self.passes("1,000 detections", some_detections(1_000), total, noon_ms)

    def retention(self, per_day: int) -> tuple[PassRun, PassRun]:
        """Time passes with one day of events, and with 30."""
        self.console.print(f"retention: {DAYS} days of {per_day:,} events")
        self.server.fresh()
        detections = some_detections(100)
        today_ms = BEGIN_MS + (DAYS - 1) * DAY_MS
        self.store(events(20, per_day, today_ms, DAY_MS // 2))
        self.rest()
        self.passes("warm-up", detections, per_day, today_ms + DAY_MS // 2, SHORT_PASSES // 2)
        one = self.passes("1 day", detections, per_day, today_ms + DAY_MS // 2 + 60_000, SHORT_PASSES)
        for day in range(DAYS - 1):
            self.store(events(20, per_day, BEGIN_MS + day * DAY_MS, DAY_MS))
        self.rest()
        self.passes("warm-up", detections, per_day * DAYS, today_ms + DAY_MS // 2 + 180_000)
        later_ms = today_ms + DAY_MS // 2 + 240_000
        return one, self.passes(f"{DAYS} days", detections, per_day * DAYS, later_ms, SHORT_PASSES)

    def examples(self) -> ExamplesRun:
        """Time `siemlite test`."""
        self.console.print("examples")
        self.server.fresh()
        seconds = []
        for number in range(WARM_UPS + PASSES):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                began = time.monotonic()
                environment = siemlite_environment(folder, self.server.url)
                child = Child(siemlite_command(folder, environment, "test", "--json"), folder / "log")
                try:
                    child.wait(_RUN_SECONDS)
                finally:
                    child.kill()
                child.check()
                if number >= WARM_UPS:
                    seconds.append(time.monotonic() - began)
                lines = (folder / "log").read_bytes().splitlines()
        return ExamplesRun(sum(line.startswith(b"{") for line in lines), len(seconds), median(seconds))


def some_detections(number: int) -> list[Detection]:
    """Return `number` different detections that match one to one and a half percent of the events."""
    random = Random(1)
    codes = [kind.code for kind in CATALOGUE if kind.code != "LOGIN_FAILURE"]
    made = []
    for count in range(number):
        services = sorted(random.sample(range(8), 2))
        kind = Threshold(
            severity=Severity.LOW,
            where={"event.code": random.choice(codes), "service.name": [f"service-{one}" for one in services]},
            group_by=random.choice(("source.address", "user.id")),
            at_least=random.randint(10, 50),
            within=minutes(random.choice((1, 5, 10, 15))),
        )
        made.append(Detection(f"d{count}", "One of many", "", Path(__file__), kind))
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return 0, or 1 where siemlite's answer was not exact or a pass not complete."""
    parser = argparse.ArgumentParser(prog="bench.detect", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=TOTAL, help="events of the history, for both contenders")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--attackers", type=int, action="append", help="of the history: 20 and 1,000 by default")
    parser.add_argument("--minutes", type=int, default=DAY_MS // minutes(1), help="length of the history: a day")
    parser.add_argument("--record", action="store_true", help=f"also keep what was run in {RECORD.name}")
    parser.add_argument("--peer", help="the Python that ElastAlert2 is installed for")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    end_on_sigterm()
    wanted = options.only or PARTS
    console = Console(stderr=True)
    runs: list[HistoryRun] = []
    passes: list[PassRun] = []
    examples: ExamplesRun | None = None
    with benchmark_server() as server:
        bench = Bench(server, console)
        RESULTS.mkdir(parents=True, exist_ok=True)
        described = machine.description(RESULTS, server.version)
        if options.peer is None:
            console.print("ElastAlert2 is left out: name the Python that it is installed for with --peer")
        if "history" in wanted:
            for attackers in options.attackers or ATTACKERS:
                runs += bench.history(attackers, options.events, options.minutes, options.peer)
        if "many" in wanted:
            passes.append(bench.many(options.events))
        if "retention" in wanted:
            passes += bench.retention(max(1_000, options.events // 20))
        if "examples" in wanted:
            examples = bench.examples()
    result = {
        "machine": described,
        "commit": machine.commit(),
        "history": [asdict(run) for run in runs],
        "passes": [asdict(one) for one in passes],
        "examples": None if examples is None else asdict(examples),
    }
    (RESULTS / "detect.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    if options.record:
        record(described, runs, passes, examples)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    else:
        show(Console(width=150), runs, passes, examples)
    exact = all(run.answer.startswith("exact") for run in runs if run.contender == "siemlite")
    return 0 if exact and not any(one.incomplete for one in passes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
