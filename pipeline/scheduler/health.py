"""What a process says of itself over HTTP: `/healthz`, `/readyz`, `/metrics`.

Invariants: `/healthz` is 200 while the daemon's own threads move, whether or not Elasticsearch is there, so
that nothing restarts it for what a restart cannot cure; `/readyz` is 200 on a leader whose passes have
succeeded of late and on a standby that sees a leader; nothing that is said holds a group's value or a secret.
"""

import errno
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError
from pipeline.settings import host_and_port

if TYPE_CHECKING:
    from pipeline.scheduler.passes import PassOutcome

STUCK_S = 600.0
"""A pass that has not moved for so long is stuck."""

UNSEEN_S = 180.0
"""How long a standby that cannot see the lease believes that another speaks."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """One answer: whether all is well, and what to say."""

    well: bool
    facts: dict[str, Any] = field(default_factory=dict)


class Vitals:
    """When things last went well, by the monotonic clock. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, ready_within_s: float) -> None:
        """`ready_within_s` is how recent a pass must be for the daemon to be ready."""
        self._clock = clock
        self._ready_within_s = ready_within_s
        self._beat = clock.monotonic()
        self._passed: float | None = None
        self._pass_began: float | None = None
        self.pass_took_s = 0.0
        """How long the last pass that succeeded took."""
        self._lease_seen: float | None = None
        self._leads = False
        self._leads_since = self._beat
        self._failing: tuple[str, ...] = ()
        self._watched = 0
        self._lock = threading.Lock()
        self._jobs: dict[str, str] = {}

    def beat(self) -> None:
        """Note that the main loop moves."""
        self._beat = self._clock.monotonic()

    def lease_seen(self, leads: bool) -> None:
        """Note that the lease was read, and whether this scheduler holds it."""
        self._lease_seen = self._clock.monotonic()
        if leads and not self._leads:
            self._leads_since = self._lease_seen
        self._leads = leads

    def pass_began(self) -> None:
        """Note that a pass begins."""
        self._pass_began = self._clock.monotonic()

    def pass_ended(self, outcome: "PassOutcome | None") -> None:
        """Note that a pass has ended; without an `outcome` it failed as a whole."""
        began, self._pass_began = self._pass_began, None
        if outcome is None:
            return
        self._failing = tuple(sorted(d.detection_id for d in outcome.failed))
        self._watched = len(outcome.detections)
        if self._watched == 0 or len(self._failing) < self._watched:
            self._passed = self._clock.monotonic()
            self.pass_took_s = 0.0 if began is None else self._passed - began

    def job_failed(self, name: str, why: str) -> None:
        """Note that a job failed in a way that trying again may not mend."""
        with self._lock:
            self._jobs = {**self._jobs, name: why}

    def job_done(self, name: str) -> None:
        """Note that a job did its work."""
        with self._lock:
            self._jobs = {other: why for other, why in self._jobs.items() if other != name}

    @property
    def failing_jobs(self) -> Mapping[str, str]:
        """Return the jobs that failed when they last ran, and why."""
        return self._jobs

    @property
    def leads(self) -> bool:
        """Return whether this scheduler held the lease when it last looked."""
        return self._leads

    @property
    def led(self) -> bool:
        """Return whether it is this scheduler's to speak: it leads, or cannot see who does, and may be the last."""
        return self._leads or self._lease_seen is None or self._clock.monotonic() - self._lease_seen > UNSEEN_S

    @property
    def leads_for_s(self) -> float:
        """Return for how many seconds this scheduler has led without a break, or since it started where it does not."""
        return self._clock.monotonic() - self._leads_since

    @property
    def pass_age_s(self) -> float | None:
        """Return the seconds since a pass last succeeded, or `None` where none has."""
        passed = self._passed
        return None if passed is None else self._clock.monotonic() - passed

    def live(self) -> Report:
        """Return whether the daemon's threads move."""
        now = self._clock.monotonic()
        began = self._pass_began
        moves = now - self._beat < 30 and (began is None or now - began < STUCK_S)
        return Report(moves, {"live": moves})

    def ready(self) -> Report:
        """Return whether the daemon does its work, or stands by for one that does."""
        now = self._clock.monotonic()
        seen = self._lease_seen is not None and now - self._lease_seen < self._ready_within_s
        age = self.pass_age_s
        well = (age is not None and age < self._ready_within_s) if self._leads else seen
        facts = {
            "ready": well,
            "role": "leader" if self._leads else "standby",
            "pass_age_seconds": None if age is None else round(age, 1),
            "detections": self._watched,
            "failing": list(self._failing),
        }
        return Report(well, facts)


class Vital(Protocol):
    """What knows whether a process lives and does its work."""

    def live(self) -> Report: ...
    def ready(self) -> Report: ...


class AddressTakenError(ConfigurationError):
    """Another process listens on the address."""


class HealthServer:
    """Serves the three addresses on `address` (`host:port`, `[host]:port`)."""

    def __init__(self, address: str, vitals: Vital, registry: CollectorRegistry) -> None:
        """Raises `ConfigurationError` where the address is taken, and `ValueError` where it is none."""
        host, port = host_and_port(address)
        answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/healthz": lambda: _json(vitals.live()),
            "/readyz": lambda: _json(vitals.ready()),
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
        }

        class Handler(_Handler):
            routes = answers

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = AF_INET6 if ":" in host else AF_INET

        try:
            self._server = Server((host, port), Handler)
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            kind = AddressTakenError if taken else ConfigurationError
            raise kind(f"SIEMLITE_HEALTH {address} cannot be listened on: {error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="health", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class Health:
    """A health server that comes up once its address is free: whoever has it may be a `siemlite ship` that goes on."""

    def __init__(self, make: Callable[[], HealthServer]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._server: HealthServer | None = None
        self._closed = False

    def listen(self) -> None:
        """Answer from now on. Raises `ConfigurationError`, which is `AddressTakenError` where that may pass."""
        with self._lock:
            if self._server is None and not self._closed:
                server = self._make()
                server.start()
                self._server = server

    def close(self) -> None:
        """Stop answering."""
        with self._lock:
            self._closed = True
            if self._server is not None:
                self._server.close()


class _Handler(BaseHTTPRequestHandler):
    routes: dict[str, Callable[[], tuple[int, str, bytes]]]
    timeout = 10
    server_version = "siemlite"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        answer = self.routes.get(self.path.partition("?")[0])
        status, kind, body = (404, "text/plain", b"not found\n") if answer is None else answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Keep the library's lines out of standard error."""
        _log.debug("%s: %s", self.address_string(), format % args)


def _json(report: Report) -> tuple[int, str, bytes]:
    return 200 if report.well else 503, "application/json", orjson.dumps(report.facts) + b"\n"
