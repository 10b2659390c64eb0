"""From an event to a person: how long attacks in steady traffic take until a webhook has heard of them.

`make bench-latency` runs it; `python -m bench.latency --help` lists its options, README.md says how to read it. An
application logs through `SecurityLogger`, `siemlite ship` sends, `siemlite scheduler` evaluates 100 detections and
posts to a webhook here, all on this machine beside their Elasticsearch. Invariants: what counts is the crossing
event's own timestamp and the clock when the webhook had the whole message; every attack counts, one that nobody was
told of as missed; every event that was logged must be stored; no process started here is left behind.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import machine
from bench.contenders import siemlite_command, siemlite_environment
from bench.latency_figures import PARTS, Found, summary
from bench.latency_world import Receiver, cpu_of, receiver, write_detections
from bench.measure import Child, Command, RunFailedError, machine_cpu_seconds, own_cpu_seconds
from bench.server import Server, benchmark_server
from bench.ship import RESULTS, end_on_sigterm, progress_on
from pipeline.events.values import instant

AIM_P50_S, AIM_P99_S = 4.0, 10.0
DETECTIONS = 100
RECORD = Path(__file__).parent / "latency-results.json"
_ROOT = Path(__file__).parent.parent
_EARLY_S = 60.0
_SETTLE_S = 20.0
_LATE_S = 60.0
_READY_S = 60.0
_DOUBTFUL_SHARE = 0.05


class Run:
    """One run on one server, with its files below `folder`."""

    def __init__(self, server: Server, folder: Path, options: argparse.Namespace) -> None:
        self._server, self._folder, self._options = server, folder, options
        self._children: dict[str, Child] = {}

    def measure(self, progress: Progress) -> dict[str, Any]:
        """Run; return what was found. Raises `RunFailedError` where a process fails or events are missing."""
        options = self._options
        write_detections(self._folder / "detections", options.detections)
        self._server.fresh()
        try:
            with receiver() as webhook:
                environment = self._environment(webhook)
                self._start("setup", siemlite_command(self._folder, environment, "setup")).wait(_READY_S)
                self._children["setup"].check()
                self._start_daemons(environment)
                self._await_leader()
                before = self._processor_time()
                truth = self._load(environment, progress)
                self._await_messages(webhook)
                used = self._used(before)
                stored = self._server.searchable()
                for name in ("siemlite", "ship"):
                    if name in self._children:
                        self._children[name].end()
                return self._result(webhook, truth, stored, used)
        finally:
            for child in self._children.values():
                child.kill()

    def _environment(self, webhook: Receiver) -> dict[str, str]:
        environment = siemlite_environment(self._folder, self._server.url) | {
            "SIEMLITE_DETECTIONS": str(self._folder / "detections"),
            "SIEMLITE_WEBHOOK_URL": webhook.url,
            "SIEMLITE_WEBHOOK_SECRET": "of the benchmark",
            "PYTHONPATH": str(_ROOT),
        }
        if self._options.interval is not None:
            environment["SIEMLITE_INTERVAL"] = self._options.interval
        return environment

    def _start(self, name: str, command: Command) -> Child:
        self._children[name] = Child(command, self._folder / f"{name}.log")
        return self._children[name]

    def _start_daemons(self, environment: Mapping[str, str]) -> None:
        which = "up" if self._options.up else "scheduler"
        argv = [sys.executable, "-m", "bench.latency_scheduler", str(self._folder / "passes"), which]
        self._start("siemlite", Command(argv, environment, daemon=True, folder=self._folder))
        if not self._options.up:
            self._start("ship", siemlite_command(self._folder, environment, "ship", daemon=True))

    def _await_leader(self) -> None:
        """Wait until a pass has been made."""
        child, deadline = self._children["siemlite"], time.monotonic() + _READY_S
        while not self._passes():
            child.look()
            child.check()
            if time.monotonic() > deadline:
                raise RunFailedError(f"no pass within {_READY_S:.0f} s{child.said()}")
            time.sleep(0.1)

    def _load(self, environment: Mapping[str, str], progress: Progress) -> list[dict[str, Any]]:
        options = self._options
        truth = self._folder / "truth"
        numbers = (options.rate, options.seconds, options.attacks, options.seed)
        argv = [sys.executable, "-m", "bench.latency_load", str(truth), *(str(number) for number in numbers)]
        load = self._start("load", Command(argv, environment, folder=self._folder))
        task = progress.add_task("traffic", total=options.seconds)
        began = time.monotonic()
        while not load.ended:
            for child in self._children.values():
                child.look()
                child.check()
            progress.update(task, completed=min(options.seconds, round(time.monotonic() - began)))
            if time.monotonic() - began > options.seconds + _LATE_S:
                raise RunFailedError(f"the application does not end{load.said()}")
            time.sleep(0.2)
        load.check()
        return [orjson.loads(line) for line in truth.read_bytes().splitlines()]

    def _await_messages(self, webhook: Receiver) -> None:
        """Wait until no more messages come."""
        heard, since = -1, time.monotonic()
        while time.monotonic() - since < _SETTLE_S:
            if len(webhook.received) != heard:
                heard, since = len(webhook.received), time.monotonic()
            time.sleep(0.2)

    def _passes(self) -> list[tuple[int, int]]:
        path = self._folder / "passes"
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return [(int(began), int(refreshed)) for began, refreshed in (line.split() for line in lines)]

    def _processor_time(self) -> dict[str, float]:
        return {
            "machine": machine_cpu_seconds() or 0.0,
            "elasticsearch": self._server.cpu_seconds() or 0.0,
            "benchmark": own_cpu_seconds(),
            **{name: cpu_of(self._children[name]) for name in ("siemlite", "ship") if name in self._children},
        }

    def _used(self, before: Mapping[str, float]) -> dict[str, float]:
        after = self._processor_time()
        used = {name: after[name] - value for name, value in before.items()}
        whole = used.pop("machine")
        used["application"] = self._children["load"].cpu
        used["others"] = max(0.0, whole - sum(used.values()))
        return {name: round(seconds, 2) for name, seconds in used.items()}

    def _result(
        self, webhook: Receiver, truth: Sequence[Mapping[str, Any]], stored: int, used: Mapping[str, float]
    ) -> dict[str, Any]:
        *attacks, load = truth
        if stored != load["logged"]:
            raise RunFailedError(f"{load['logged']} events were logged and {stored} are stored")
        heard, alerts = webhook.heard(), self._alerts()
        by_group = {(a["rule"]["id"], one["value"]): i for i, a in alerts.items() for one in a["siemlite"]["group"]}
        found: list[Found] = []
        early: list[Found] = []
        missed: list[str] = []
        gathered = 0
        for attack in attacks:
            alert_id = by_group.get((attack["detection"], attack["group"]), "")
            teller = alert_id if alert_id in heard else _rollup_of(alerts.get(alert_id))
            if teller not in heard:
                missed.append(f"{attack['detection']} {attack['group']}")
                continue
            gathered += teller != alert_id
            crossing = alerts[alert_id]["siemlite"]["crossing"]
            crossing_ms = _ms(crossing)
            if not attack["before_ms"] <= crossing_ms <= attack["after_ms"]:
                raise RunFailedError(f"{attack['group']} crossed at {crossing}, not when its last event was logged")
            ingested_ms = self._ingested(attack["detection"], attack["group"], crossing)
            decided_ms = _ms(alerts[teller]["siemlite"]["deliveries"][0]["created"])
            found.append(Found(attack["detection"], crossing_ms, ingested_ms, decided_ms, heard[teller][0]))
            if attack["at_s"] < _EARLY_S:
                early.append(found[-1])
        passes = self._passes()
        return {
            "events": stored,
            "pace_missed_s": load["latest_s"],
            "attacks": len(attacks),
            "missed": missed,
            "told_in_a_rollup": gathered,
            "messages": len(webhook.received),
            "repeated_messages": len(webhook.received) - len(webhook.deliveries()),
            "passes": len(passes),
            "processor_seconds": dict(used),
            "first_minute": summary(early, passes)["total"] if early else None,
            **(summary(found, passes) if found else {}),
        }

    def _alerts(self) -> dict[str, dict[str, Any]]:
        """Return every alert's document, by its id."""
        self._post("/security-alerts-v1/_refresh", None)
        body = {"size": 10_000, "_source": {"excludes": ["siemlite.samples"]}, "query": {"match_all": {}}}
        hits = self._post("/security-alerts-v1/_search", body)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}

    def _ingested(self, detection: str, group: str, crossing: str) -> int:
        """Return when the crossing event was sent."""
        name = "user.id" if detection == "privilege_escalation_attempt" else "source.address"
        clauses = [{"term": {name: group}}, {"range": {"@timestamp": {"gte": crossing, "lte": crossing}}}]
        body = {"size": 10, "_source": ["event.ingested"], "query": {"bool": {"filter": clauses}}}
        hits = self._post("/security-logs-*/_search", body)["hits"]["hits"]
        return max(_ms(_ingested_of(hit["_source"])) for hit in hits)

    def _post(self, path: str, body: object) -> Any:
        answer = httpx.post(f"{self._server.url}{path}", json=body, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()


def _rollup_of(alert: Mapping[str, Any] | None) -> str:
    return "" if alert is None else ((alert["siemlite"].get("rollup") or {}).get("id") or "")


def _ms(text: object) -> int:
    found = instant(text)
    if found is None:
        raise RunFailedError(f"{text!r} is no instant")
    return found.ms


def _ingested_of(source: Mapping[str, Any]) -> object:
    return source.get("event.ingested") or source["event"]["ingested"]


def main(arguments: Sequence[str]) -> int:
    """Measure; return the exit status: 0, or 1 where it failed, an attack was missed or the aim is not reached."""
    options = _options(arguments)
    end_on_sigterm()
    folder = options.folder or RESULTS / "latency"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with benchmark_server() as server, progress_on(Console(stderr=True)) as progress:
            described = machine.description(folder, server.version)
            found = Run(server, folder, options).measure(progress)
    except RunFailedError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, Any] = {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": machine.commit(),
        "machine": described,
        "rate": options.rate,
        "seconds": options.seconds,
        "detections": options.detections,
        "interval": options.interval or "default",
        "processes": "up" if options.up else "ship and scheduler",
        "aim": {"p50": AIM_P50_S, "p99": AIM_P99_S, "missed": 0},
        **found,
    }
    quiet = found["processor_seconds"]["others"] <= _DOUBTFUL_SHARE * 2 * options.seconds
    for path in (RESULTS / "latency.json", *([RECORD] if options.record and quiet else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    else:
        _show(result, Console(highlight=False, width=None if sys.stdout.isatty() else 120))
    if not quiet:
        sys.stderr.write("others used the machine meanwhile: the figures are doubtful, and none are recorded\n")
    reached = not result["missed"] and result["total"]["p50"] < AIM_P50_S and result["total"]["p99"] < AIM_P99_S
    return 0 if reached and (quiet or not options.record) else 1


def _show(result: Mapping[str, Any], console: Console) -> None:
    table = Table(title=f"seconds from the crossing event to the webhook, {result['attacks']} attacks")
    for heading in ("", "p50", "p95", "p99", "max", "mean share %"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = {
        "of the first minute": result["first_minute"],
        "whole": result.get("total"),
        **{name: result.get("parts", {}).get(name) for name in PARTS},
    }
    rows |= result.get("by_detection", {})
    for name, spread in rows.items():
        if spread is not None:
            figures = [f"{spread[share]:.2f}" for share in ("p50", "p95", "p99", "max")]
            table.add_row(name, *figures, str(spread.get("mean_share_percent", "")))
    console.print(table)
    used = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result["processor_seconds"].items())
    console.print(
        f"{result['events']:,} events at {result['rate']:,}/s, {result['detections']} detections, "
        f"{result['passes']} passes, interval {result['interval']}; pace missed by up to {result['pace_missed_s']} s\n"
        f"missed: {len(result['missed'])} {', '.join(result['missed'][:5])}\n"
        f"messages: {result['messages']}, repeated {result['repeated_messages']}; "
        f"attacks told in a roll-up: {result['told_in_a_rollup']}\n"
        f"processor seconds: {used}\n"
        f"aim: p50 under {AIM_P50_S:.0f} s, p99 under {AIM_P99_S:.0f} s, none missed"
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=2_000, help="events a second (default 2,000)")
    parser.add_argument("--seconds", type=int, default=300, help="how long (default 300)")
    parser.add_argument("--attacks", type=float, default=1.0, help="attacks a second, on average (default 1)")
    parser.add_argument("--detections", type=int, default=DETECTIONS, help="detections loaded (default 100)")
    parser.add_argument("--interval", help="SIEMLITE_INTERVAL, where not the default")
    parser.add_argument("--up", action="store_true", help="ship and schedule in one process, as `siemlite up` does")
    parser.add_argument("--seed", type=int, default=1, help="seed of the traffic")
    parser.add_argument("--folder", type=Path, help="an empty place for the home, on the disk to be measured")
    parser.add_argument("--keep", action="store_true", help="keep that folder, with what the processes said")
    parser.add_argument("--json", action="store_true", help="write the result as JSON to standard output")
    parser.add_argument("--record", action="store_true", help=f"also keep the result as {RECORD.name}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
