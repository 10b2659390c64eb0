"""What runs in the processes that are killed: a command of siemlite's, or an application that logs.

Both are the real code, in a process forked off a server that has imported it already, so that a start costs
hundredths of a second and a thousand kills are quick.
"""

import importlib
import os
import random
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from pipeline import SecurityEvent, SecurityLogger
from pipeline.cli.main import main
from pipeline.clock import SystemClock
from pipeline.errors import RetryableError
from pipeline.shipping import shipper
from pipeline.shipping.backoff import Backoff
from tests.acceptance.crash.failpoints import Failpoints, put

SMALL: Mapping[str, float] = {
    "pipeline.shipping.intake:CHUNK_EVENTS": 20,
    "pipeline.shipping.shipper:REQUEST_BYTES": 20_000,
    "pipeline.shipping.shipper:_IDLE_SECONDS": 0.01,
    "pipeline.shipping.shipper:_GIVE_BACK_EVERY": 3,
    "pipeline.shipping.spool:_VACUUM_PAGES": 2,
    "pipeline.shipping.collector:LOOK_SECONDS": 0.05,
    "pipeline.sources.reading:BATCH_RECORDS": 20,
    "pipeline.sources.files:BLOCK_BYTES": 4096,
    "pipeline.ship:_LOOK_SECONDS": 0.02,
}
"""Makes everything small, so that a little file is many chunks, commits and requests."""

QUICK: Mapping[str, float] = {
    "pipeline.sources.follow:POLL_SECONDS": 0.02,
    "pipeline.sources.follow:GRACE_SECONDS": 1.0,
    "pipeline.sources.opening:GRACE_SECONDS": 1.0,
    "pipeline.sources.openfiles:SIBLINGS_SECONDS": 0.5,
    "pipeline.sources.openfiles:RETRY_SECONDS": 0.2,
    "pipeline.sources.tail:BLOCK_BYTES": 4096,
}
"""Makes following quick, so that little time needs to pass between rotations."""


@dataclass(frozen=True)
class Orders:
    """How a child runs: its settings, where its output goes, and what befalls it.

    `plan` is for `Failpoints`, `constants` are replaced (`module:NAME`), and the clock jumps back or ahead by up to
    `clock_jumps_ms` at every look at it.
    """

    settings: Mapping[str, str]
    output: Path
    plan: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=lambda: SMALL)
    clock_jumps_ms: int = 0
    seed: int = 0


def run_command(orders: Orders, arguments: list[str]) -> None:
    """Run `siemlite` with `arguments` to its end."""
    _begin(orders)
    sys.exit(main(arguments))


def run_application(orders: Orders, service: str, first: int, journal: Path, forks: bool) -> None:
    """Log events until killed, from several threads, and after a while from a forked child too.

    Each event carries a number of its own, from `first` on. `journal` gets a line `try N` before an event is
    logged, and `kept N` once a durable call has returned.
    """
    _begin(orders)
    rng = random.Random(orders.seed)
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    security = SecurityLogger(service=service)
    numbers = count(first)
    if forks:
        for _ in range(rng.randrange(5)):
            _log(security, next(numbers), file, rng)
        if os.fork() == 0:
            numbers = count(first + 500_000)
    threads = [
        threading.Thread(target=_log_on, args=(security, numbers, file, random.Random(rng.random())), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    _log_on(security, numbers, file, rng)


def _log_on(security: SecurityLogger, numbers: "count[int]", file: int, rng: random.Random) -> None:
    while True:
        _log(security, next(numbers), file, rng)


def _log(security: SecurityLogger, number: int, file: int, rng: random.Random) -> None:
    durable = rng.random() < 0.7
    os.write(file, b"try %d\n" % number)
    try:
        security.log(SecurityEvent.LOGIN_FAILURE, user_id=f"u{number}", ip="192.0.2.7", seq=number, durable=durable)
    except RetryableError:
        return
    if durable:
        os.write(file, b"kept %d\n" % number)


def _begin(orders: Orders) -> None:
    os.setpgid(0, 0)
    output = os.open(orders.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for name in [name for name in os.environ if name.startswith(("SIEMLITE_", "ES_", "ELASTICSEARCH_"))]:
        del os.environ[name]
    os.environ.update(orders.settings)
    for place, value in orders.constants.items():
        module, _, name = place.partition(":")
        put(importlib.import_module(module), name, value)
    put(shipper, "Backoff", lambda **_: Backoff(0.01, 0.1, 0.005))
    if orders.clock_jumps_ms:
        _let_the_clock_jump(orders)
    Failpoints(orders.plan).install()


def _let_the_clock_jump(orders: Orders) -> None:
    rng = random.Random(orders.seed)
    true_ms = SystemClock.now_ms

    def now_ms(self: SystemClock) -> int:
        return true_ms(self) + rng.randint(-orders.clock_jumps_ms, orders.clock_jumps_ms)

    put(SystemClock, "now_ms", now_ms)
