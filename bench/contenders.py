"""Who is compared: how each is started, and what is missing where it cannot be.

A new peer is one more `Contender` in `CONTENDERS`. Invariant: each gets the same events, an empty folder of its own
on a real disk, and nothing of what an earlier run left.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command
from bench.peers import parallel_bulk, rsyslog
from bench.workload import INDEX, REQUEST_BYTES, Workload

_ROOT = Path(__file__).parent.parent
_WINSTON = Path(__file__).parent / "peers" / "winston"

CEILING = "ceiling"
SIEMLITE_FILE = "siemlite file"
SIEMLITE_API = "siemlite API"
RSYSLOG = "rsyslog"
PARALLEL_BULK = "parallel_bulk"
PARALLEL_BULK_PLAIN = "parallel_bulk as it comes"
WINSTON = "winston"


def _always() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to get events into Elasticsearch.

    `commands` makes its processes for a workload, a server's address and an empty folder; `missing` says how to
    install what it needs, or `None`; `ours` are those whose every event and secret is checked afterwards.
    """

    name: str
    what: str
    commands: Callable[[Workload, str, Path], list[Command]]
    missing: Callable[[], str | None] = _always
    ours: bool = False


def _python(module: str, *arguments: str) -> Command:
    return Command([sys.executable, "-m", f"bench.{module}", *arguments], folder=_ROOT)


def siemlite_command(folder: Path, environment: Mapping[str, str], *arguments: str, daemon: bool = False) -> Command:
    """Return siemlite's command with `arguments`, to be run in `folder`."""
    program = str(Path(sys.executable).with_name("siemlite"))
    return Command([program, *arguments], environment, daemon=daemon, folder=folder)


def siemlite_environment(folder: Path, url: str) -> dict[str, str]:
    """Return the environment of siemlite with a fresh home below `folder` and all else as by default."""
    return {"SIEMLITE_HOME": str(folder / "home"), "ELASTICSEARCH_URL": url}


def _ceiling(workload: Workload, url: str, _folder: Path) -> list[Command]:
    return [_python("peers.ceiling", url, str(workload.requests), str(REQUEST_BYTES))]


def _parallel_bulk_plain(workload: Workload, url: str, _folder: Path) -> list[Command]:
    return [_python("peers.parallel_bulk", url, str(workload.documents), INDEX)]


def _parallel_bulk(workload: Workload, url: str, _folder: Path) -> list[Command]:
    return [_python("peers.parallel_bulk", url, str(workload.documents), INDEX, parallel_bulk.TUNED)]


def _rsyslog(workload: Workload, url: str, folder: Path) -> list[Command]:
    return [Command(rsyslog.configure(folder, url, workload.documents, INDEX), daemon=True, folder=folder)]


def _winston(workload: Workload, url: str, _folder: Path) -> list[Command]:
    return [Command(["node", str(_WINSTON / "ship.js"), url, str(workload.documents), INDEX], folder=_WINSTON)]


def _siemlite_file(workload: Workload, url: str, folder: Path) -> list[Command]:
    environment = siemlite_environment(folder, url)
    return [siemlite_command(folder, environment, "ship", "--format", "json", str(workload.raw))]


def _siemlite_api(workload: Workload, url: str, folder: Path) -> list[Command]:
    environment = siemlite_environment(folder, url)
    logs = [sys.executable, "-m", "bench.application", str(workload.raw)]
    return [
        siemlite_command(folder, environment, "ship", daemon=True),
        Command(logs, environment | {"PYTHONPATH": str(_ROOT)}, folder=folder),
    ]


def _no_rsyslog() -> str | None:
    return None if rsyslog.program() else rsyslog.INSTALL


def _no_winston() -> str | None:
    if shutil.which("node") is None:
        return "install Node.js 18 or newer, then `npm ci` in bench/peers/winston"
    return None if (_WINSTON / "node_modules").is_dir() else "`npm ci` in bench/peers/winston"


CONTENDERS = (
    Contender(CEILING, "siemlite's own requests, made beforehand, over 2 connections", _ceiling),
    Contender(PARALLEL_BULK, "elasticsearch.helpers.parallel_bulk, 2 threads, orjson", _parallel_bulk),
    Contender(
        PARALLEL_BULK_PLAIN, "the same as it comes: 4 threads, the standard library's JSON", _parallel_bulk_plain
    ),
    Contender(RSYSLOG, "imfile and omelasticsearch, 2 workers, queue in memory", _rsyslog, _no_rsyslog),
    Contender(WINSTON, "winston-elasticsearch 0.19 behind a recursive redaction by key", _winston, _no_winston),
    Contender(SIEMLITE_FILE, "siemlite ship FILE, everything on", _siemlite_file, ours=True),
    Contender(SIEMLITE_API, "SecurityLogger.log in one process, siemlite ship in another", _siemlite_api, ours=True),
)
