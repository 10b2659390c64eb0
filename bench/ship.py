"""Shipping events into Elasticsearch: siemlite beside its peers, in turns, on the same events.

`make bench-ship` runs it; `python -m bench.ship --help` lists its options, README.md says how to read the figures.
Invariants: contenders take turns, so that none has the quiet minutes to itself; a run counts only if every event
became searchable, for siemlite's own also only if each is there once, under its id, without its secrets; no process
started here is left behind.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine, report
from bench.contenders import CEILING, CONTENDERS, Contender
from bench.measure import RunFailedError, run
from bench.report import Run
from bench.server import Server, benchmark_server
from bench.verify import verify
from bench.workload import Workload

RESULTS = Path(__file__).parent / "results"
RECORD = Path(__file__).parent / "ship-results.json"
_SECONDS = 600.0
_WARM_UP_EVENTS = 100_000
_WARM_UPS_MOST = 10
_STILL_WARMING = 1.05
_STARTS = 3
_AFTER_FAILURE_SECONDS = 3.0


@dataclass
class Bench:
    """One benchmark on one server, with its files below `folder`."""

    server: Server
    folder: Path
    progress: Progress
    runs: list[Run] = field(default_factory=list)
    starts: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def measure(self, contender: Contender, workload: Workload, number: int) -> Run | None:
        """Run `contender` once (round 0: to warm up); return `None`, and note why, where it fails."""
        place = self.folder / "run"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self.server.fresh()
        what = f"round {number}" if number > 0 else "warming up"
        task = self.progress.add_task(f"{contender.name}, {what}", total=workload.events)
        try:
            measured = run(
                contender.commands(workload, self.server.url, place),
                self.server,
                workload.events,
                logs=place,
                seconds=_SECONDS,
                progress=lambda done: self.progress.update(task, completed=done),
            )
        except RunFailedError as error:
            self.failures.append(f"{contender.name}, round {number}: {error}")
            time.sleep(_AFTER_FAILURE_SECONDS)  # The server may still be at work on what it was sent.
            return None
        finally:
            self.progress.remove_task(task)
        if not contender.ours:
            return Run(contender.name, number, measured)
        verified = verify(self.server, workload)
        if not verified.right:
            self.failures.append(f"{contender.name}, round {number}: {verified}")
        return Run(contender.name, number, measured, str(verified))

    def warm_up(self, workload: Workload) -> None:
        """Send to the server until that gets no faster: its compiler is busy with the first hundred thousand events."""
        ceiling = next(contender for contender in CONTENDERS if contender.name == CEILING)
        before = 0.0
        for number in range(1, _WARM_UPS_MOST + 1):
            run = self.measure(ceiling, workload, 0)
            rate = 0.0 if run is None else run.rate
            if number > 2 and rate < before * _STILL_WARMING:
                break
            before = max(before, rate)

    def go(self, contenders: Sequence[Contender], workload: Workload, rounds: int, one: Workload) -> None:
        """Measure each contender's start, then `rounds` rounds of all."""
        for number in range(1, _STARTS + 1):
            self.starts += filter(None, (self.measure(contender, one, number) for contender in contenders))
        for number in range(1, rounds + 1):
            self.runs += filter(None, (self.measure(contender, workload, number) for contender in contenders))


def prepared(folder: Path, events: int, seed: int) -> Workload:
    """Return a workload whose files are written, in a process of its own."""
    workload = Workload(folder / f"workload-{events}", events, seed)
    command = [sys.executable, "-m", "bench.workload", str(workload.folder), str(events), str(seed)]
    subprocess.run(command, cwd=Path(__file__).parent.parent, check=True)
    return workload


def progress_on(console: Console) -> Progress:
    """Return progress on a terminal; in a pipe it is silent."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def end_on_sigterm() -> None:
    """Let SIGTERM end this program as an exception does, so that what it started is ended too."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; return the exit status: 0, or 1 where a run failed."""
    options = _options(arguments)
    end_on_sigterm()
    chosen = [c for c in CONTENDERS if not options.only or c.name in options.only]
    absent = {c.name: how for c in chosen if (how := c.missing()) is not None}
    contenders = [c for c in chosen if c.name not in absent]
    folder = options.folder or RESULTS / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        workload, one = prepared(folder, options.events, options.seed), prepared(folder, 1, options.seed)
        with benchmark_server() as server, progress_on(Console(stderr=True)) as progress:
            described = machine.description(folder, server.version)
            bench = Bench(server, folder, progress)
            warm_up = prepared(folder, min(options.events, _WARM_UP_EVENTS), options.seed)
            bench.warm_up(warm_up)
            bench.go(contenders, workload, options.rounds, one)
            server.fresh()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    taken = datetime.now(UTC).isoformat(timespec="minutes")
    result = report.document(described, machine.commit(), taken, bench.runs, bench.starts)
    _write(RESULTS / "ship.json", result)
    if options.record and (bench.failures or report.doubtful(result)):
        bench.failures.append("the result is not recorded: runs failed, or others used the machine")
    elif options.record:
        _write(RECORD, result)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    else:
        report.show(result, absent, Console(highlight=False, width=None if sys.stdout.isatty() else 120))
    for failure in bench.failures:
        sys.stderr.write(f"failed: {failure}\n")
    return 1 if bench.failures else 0


def _write(path: Path, result: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ship", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=200_000, help="events in each run (default 200,000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the events")
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--only", action="append", choices=names, help="a contender; may be given several times")
    parser.add_argument("--folder", type=Path, help="an empty place for files and spools, on the disk to be measured")
    parser.add_argument("--json", action="store_true", help="write the result as JSON to standard output")
    parser.add_argument("--record", action="store_true", help=f"also keep the result as {RECORD.name}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
