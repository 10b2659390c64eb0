"""What surrounds siemlite in the latency benchmark: the webhook that alerts go to, and detections to evaluate."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import orjson

from bench.latency_load import SERVICES
from bench.measure import Child
from pipeline.engine.loader import folders, load_detections
from pipeline.events.catalogue import CATALOGUE

_DETECTION = '''"""One of many.

Triage: none; it is here to be evaluated.
"""

from pipeline.detection import Severity, Threshold, burst, minutes

detection = Threshold(
    severity=Severity.LOW,
    attack=("T1078",),
    where={{"event.code": "{code}", "service.name": {services}}},
    group_by="{group_by}",
    at_least={at_least},
    within=minutes({within}),
    fires=[burst({at_least})],
    quiet=[burst(4)],
)
'''


@dataclass
class Receiver:
    """The webhook: what was posted, each with the clock when it was received whole."""

    url: str = ""
    received: list[tuple[int, bytes]] = field(default_factory=list)

    def heard(self) -> dict[str, tuple[int, dict[str, Any]]]:
        """Return the first message about each alert, by its id, with its clock."""
        found: dict[str, tuple[int, dict[str, Any]]] = {}
        for at_ms, body in list(self.received):
            message = orjson.loads(body)
            found.setdefault(message["alert"], (at_ms, message))
        return found

    def deliveries(self) -> set[str]:
        """Return the deliveries that were received, each once."""
        return {orjson.loads(body)["delivery"] for _, body in list(self.received)}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run the webhook on a free port of the loopback interface."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            state.received.append((time.time_ns() // 1_000_000, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def write_detections(folder: Path, total: int) -> None:
    """Write as many detections to `folder` as make `total` with the built-in ones; none of them ever fires."""
    folder.mkdir(parents=True)
    random = Random(1)
    codes = [kind.code for kind in CATALOGUE]
    for number in range(total - len(load_detections(folders(None)).detections)):
        text = _DETECTION.format(
            code=random.choice(codes),
            services=sorted(random.sample(SERVICES, 2)),
            group_by=random.choice(("source.address", "user.id")),
            at_least=random.randint(40, 90),
            within=random.choice((1, 5, 10, 15)),
        )
        (folder / f"one_of_many_{number}.py").write_text(text, encoding="utf-8")


def cpu_of(child: Child) -> float:
    """Return the processor time that a running process has used so far, in seconds; 0 where that cannot be read."""

    try:
        text = Path(f"/proc/{child.process.pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
