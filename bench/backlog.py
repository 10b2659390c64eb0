"""Memory with a backlog: siemlite takes a long file while Elasticsearch is down, then works the spool off.

`make bench-backlog` runs it. Nobody listens on the server's port while `siemlite ship` spools the events; then a
node of its own appears there. Measured are the peaks of the shipper's resident memory in both parts, and that every
event arrived once. Reading the kernel's peak, and beginning it anew between the parts, needs Linux.
"""

import argparse
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from bench import machine
from bench.contenders import siemlite_command, siemlite_environment
from bench.measure import Child, RunFailedError
from bench.server import Server
from bench.ship import RESULTS, end_on_sigterm, prepared, progress_on
from bench.verify import RIGHT, verify
from bench.workload import Workload
from pipeline.node import ServerOptions
from pipeline.node.distribution import VERSION
from pipeline.node.ports import is_free
from tests.node import TestNode

AIM_MIB = 150
RECORD = Path(__file__).parent / "backlog-results.json"
_MIB = 1024 * 1024
_FIRST_PORT = 33_500
_LOOK_SECONDS = 0.5
_SECONDS = 3_600.0
_SPOOL_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a backlog cost: seconds, and peaks of resident memory in MiB."""

    events: int
    spooling_seconds: float
    spooling_peak_mib: float
    spooled_mib: float
    sending_seconds: float
    sending_peak_mib: float
    client_cpu: float
    verified: str


def spooled(home: Path) -> tuple[int, int]:
    """Return how many events, and how many bytes of them, the spools of `home` hold; changes nothing in them."""
    events = size = 0
    for path in (home / "spool").glob("*.db"):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as spool:
            try:
                held = spool.execute("SELECT events, bytes FROM held").fetchone()
            except sqlite3.OperationalError:
                continue  # It is being made.
        events, size = events + held[0], size + held[1]
    return events, size


def measure(workload: Workload, folder: Path, progress: Callable[[str, int], None]) -> Backlog:
    """Spool `workload` while no server is there, start one, and wait until all is searchable.

    Raises `RunFailedError` where siemlite ends early or takes too long.
    """
    port = next(port for port in range(_FIRST_PORT, _FIRST_PORT + 1_000) if is_free(port))
    environment = siemlite_environment(folder, f"http://127.0.0.1:{port}") | {
        "SIEMLITE_SPOOL_MAX_BYTES": str(_SPOOL_BYTES)
    }
    node = TestNode(Path(tempfile.mkdtemp(prefix="siemlite-bench-")), port=port, options=ServerOptions())
    child = Child(siemlite_command(folder, environment, "ship", "--format", "json", str(workload.raw)), folder / "log")
    try:
        spooling = _await(child, lambda: spooled(folder / "home")[0], workload.events, partial(progress, "spooling"))
        spooling_peak, size = child.peak_bytes, spooled(folder / "home")[1]
        child.forget_peak()
        node.start()
        server = Server(node.url)
        server.install()
        sending = _await(child, server.indexed, workload.events, partial(progress, "sending"))
        child.wait(_SECONDS)
        child.check()
        if server.searchable() != workload.events:
            raise RunFailedError(f"{server.searchable()} events are searchable{child.said()}")
        verified = verify(server, workload)
        server.close()
    finally:
        child.kill()
        node.remove()
    return Backlog(
        workload.events,
        spooling,
        spooling_peak / _MIB,
        size / _MIB,
        sending,
        child.peak_bytes / _MIB,
        child.cpu,
        str(verified),
    )


def _await(child: Child, count: Callable[[], int], events: int, progress: Callable[[int], None]) -> float:
    """Wait until `count` says that all events are there; return how long it took, in seconds."""
    began = time.monotonic()
    while (done := count()) < events:
        child.look()
        if child.ended:
            raise RunFailedError(f"it ended with {events - done} events missing{child.said()}")
        if time.monotonic() - began > _SECONDS:
            raise RunFailedError(f"{events - done} events are missing after {_SECONDS:.0f} s{child.said()}")
        progress(done)
        time.sleep(_LOOK_SECONDS)
    child.look()
    return time.monotonic() - began


def main(arguments: Sequence[str]) -> int:
    """Measure; return the exit status: 0, or 1 where it failed or the aim is missed."""
    options = _options(arguments)
    end_on_sigterm()
    folder = options.folder or RESULTS / "backlog"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        workload = prepared(folder, options.events, options.seed)
        with progress_on(Console(stderr=True)) as bar:
            task = bar.add_task("spooling", total=options.events)
            described = machine.description(folder, VERSION)
            found = measure(workload, folder, lambda what, done: bar.update(task, description=what, completed=done))
    except RunFailedError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, Any] = {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": machine.commit(),
        "machine": described,
        "aim_mib": AIM_MIB,
    } | {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(found).items()}
    for path in (RESULTS / "backlog.json", *([RECORD] if options.record else [])):
        path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    else:
        _show(found)
    return 0 if found.verified == RIGHT and max(found.spooling_peak_mib, found.sending_peak_mib) < AIM_MIB else 1


def _show(found: Backlog) -> None:
    sys.stdout.write(
        f"spooling {found.events:,} events with Elasticsearch down: {found.spooling_seconds:.1f} s, "
        f"{found.events / found.spooling_seconds:,.0f} events/s, {found.spooled_mib:,.0f} MiB in the spool, "
        f"peak memory {found.spooling_peak_mib:.0f} MiB\n"
        f"working off: {found.sending_seconds:.1f} s, {found.events / found.sending_seconds:,.0f} events/s, "
        f"peak memory {found.sending_peak_mib:.0f} MiB\n"
        f"processor time of siemlite in both: {found.client_cpu:.1f} s; stored events: {found.verified}\n"
        f"aim: under {AIM_MIB} MiB\n"
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.backlog", description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the backlog (default 1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the events")
    parser.add_argument("--folder", type=Path, help="an empty place for the file and the spool")
    parser.add_argument("--json", action="store_true", help="write the result as JSON to standard output")
    parser.add_argument("--record", action="store_true", help=f"also keep the result as {RECORD.name}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
