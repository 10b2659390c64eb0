"""The scenarios: who writes, who is killed when, and what must be there afterwards."""

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from elasticsearch import Elasticsearch

from tests.acceptance.crash import truth
from tests.acceptance.crash.child import QUICK, SMALL
from tests.acceptance.crash.failpoints import APPENDING, SENDING, STARTING, TIDYING
from tests.acceptance.crash.nursery import Child, Nursery

DAY_MS = 86_400_000
_RUNS_MOST = 60
_DELIVERY_SECONDS = 60.0


def line(number: int, now_ms: int) -> str:
    """Return a line of JSON with an event that carries `number`, of today or the two days before."""
    at = time.gmtime((now_ms - number % 3 * DAY_MS) / 1000)
    event = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.123Z", at),
        "event": "LOGIN_FAILURE",
        "message": f"event number {number}",
        "context": {"seq": number, "ip": "192.0.2.9", "password": "hunter2"},
    }
    return json.dumps(event) + "\n"


def write_file(path: Path, numbers: Iterable[int], now_ms: int) -> None:
    """Write a file of events."""
    path.write_text("".join(line(number, now_ms) for number in numbers))


def one_of(rng: random.Random, names: tuple[str, ...], most: int) -> dict[str, int]:
    """Return a plan: one of the failpoints, at one of its first `most` visits."""
    return {rng.choice(names): rng.randint(1, most)}


def ship_file(nursery: Nursery, path: Path, *, failpoints: tuple[str, ...] = ()) -> None:
    """Ship a file with one kill after the other until a run comes to its end."""
    rng = nursery.rng
    names = failpoints or (*APPENDING, *SENDING, *TIDYING[:2], *STARTING)
    for _ in range(_RUNS_MOST):
        at_failpoint = rng.random() < 0.6
        plan = one_of(rng, names, 12) if at_failpoint else {}
        run = nursery.command("ship", str(path), plan=plan)
        if not nursery.let_die(run, None if at_failpoint else rng.uniform(0.05, 0.8)):
            return
    assert nursery.command("ship", str(path)).wait() == 0


def write_through_kills(nursery: Nursery, service: str, first: int, journal: Path, *, forks: bool) -> None:
    """Log with one application, killed at a failpoint or at random."""
    rng = nursery.rng
    at_failpoint = not forks and rng.random() < 0.6
    plan = one_of(rng, (*APPENDING, *STARTING), 25) if at_failpoint else {}
    application = nursery.application(service, first, journal, forks=forks, plan=plan)
    nursery.let_die(application, min(2.0, rng.expovariate(3)) + 0.1)


def journalled(journal: Path) -> tuple[set[int], set[int]]:
    """Return the numbers that were tried and those whose durable call returned."""
    tried: set[int] = set()
    kept: set[int] = set()
    for entry in journal.read_text().splitlines():
        word, _, number = entry.partition(" ")
        (tried if word == "try" else kept).add(int(number))
    return tried, kept


def ship_spools(nursery: Nursery, home: Path) -> None:
    """Send what the spools hold, through kills, and then in peace until no spool is left."""
    rng = nursery.rng
    for _ in range(_RUNS_MOST):
        if not _left(home):
            return
        plan = one_of(rng, (*SENDING, *TIDYING), 8) if rng.random() < 0.7 else {}
        nursery.let_die(nursery.command("ship", plan=plan), rng.uniform(0.2, 1.0))
    sender = nursery.command("ship")
    until(lambda: not _left(home), sender, "all spools are sent and removed")
    sender.terminate()


def _left(home: Path) -> bool:
    """Return whether anything of a writer's spool is left: a kill within its removal leaves its locks, to be swept."""
    files = (path for end in ("db", "lock", "send") for path in (home / "spool").glob(f"*.{end}"))
    return any(not path.name.startswith("files-") for path in files)


def until(true: Callable[[], bool], child: Child, what: str, seconds: float = _DELIVERY_SECONDS) -> None:
    """Wait until `true` while `child` runs."""
    deadline = time.monotonic() + seconds
    while not true():
        assert not child.ended, f"{what}: ended with {child.process.exitcode}; {child.output()[-2000:]}"
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {child.output()[-2000:]}"
        time.sleep(0.05)


class RotatedLog:
    """A log that is written and rotated; nothing that rotation made is thrown away."""

    def __init__(self, folder: Path, rng: random.Random, numbers: Iterator[int], now_ms: int) -> None:
        self.path = folder / "app.log"
        self.path.touch()
        self.written: set[int] = set()
        self._rng = rng
        self._numbers = numbers
        self._now_ms = now_ms
        self._rotations = 0
        self._writer = self._open()

    def write(self) -> None:
        """Write some lines, perhaps with a pause in the middle of one."""
        for _ in range(self._rng.randint(1, 30)):
            number = next(self._numbers)
            data = line(number, self._now_ms).encode()
            cut = self._rng.randrange(len(data)) if self._rng.random() < 0.1 else len(data)
            os.write(self._writer, data[:cut])
            if cut < len(data):
                time.sleep(self._rng.uniform(0, 0.05))
                os.write(self._writer, data[cut:])
            self.written.add(number)

    def rotate(self) -> None:
        """Rotate by renaming; the writer goes on for a moment in the file that was renamed."""
        self._shift()
        self.path.rename(self.path.with_name("app.log.1"))
        if self._rng.random() < 0.5:
            self.write()
        os.close(self._writer)
        self._writer = self._open()

    def copy_and_truncate(self) -> None:
        """Rotate by copying and cutting off."""
        self._shift()
        shutil.copyfile(self.path, self.path.with_name("app.log.1"))
        time.sleep(self._rng.uniform(0, 0.05))
        os.truncate(self.path, 0)

    def close(self) -> None:
        """Write no more."""
        os.close(self._writer)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _shift(self) -> None:
        self._rotations += 1
        for number in range(self._rotations, 0, -1):
            old = self.path.with_name(f"app.log.{number}")
            if old.exists():
                old.rename(self.path.with_name(f"app.log.{number + 1}"))


def follow(nursery: Nursery, log: RotatedLog, kills: int, client: Elasticsearch) -> None:
    """Follow a log that is written and rotated, through `kills` kills; then let everything arrive."""
    rng = nursery.rng
    nursery.constants = {**SMALL, **QUICK}
    command = ("ship", "--follow", str(log.path))
    follower = nursery.command(*command)
    until((nursery.folder / "home/spool/files-1.db").exists, follower, "the follower begins")
    until(lambda: bool(truth.positions(nursery.folder / "home")), follower, "the log is known")
    last = nursery.kills + kills
    while nursery.kills < last:
        if follower.ended:
            assert nursery.let_die(follower, 0), f"the follower ended by itself; {follower.output()[-2000:]}"
            fatal = nursery.kills < last and rng.random() < 0.5  # The last one is to live.
            plan = one_of(rng, (*APPENDING, *SENDING), 6) if fatal else {}
            follower = nursery.command(*command, plan=plan)
        what = rng.random()
        if what < 0.6:
            log.write()
        elif what < 0.7:
            log.rotate()
        elif what < 0.77:
            log.copy_and_truncate()
        elif what < 0.9:
            time.sleep(rng.uniform(0, 0.2))
        else:
            follower.kill()
    if follower.ended:
        nursery.let_die(follower, 0)
        follower = nursery.command(*command)
    until(lambda: truth.count(client) >= len(log.written), follower, "everything that was written is stored")
    time.sleep(0.5)  # for what must not come
    follower.terminate()
