"""The server ends with its parent, however that ends; here with small programs in the server's place.

The stand-in is built as the server is: a launcher whose child ends when the pipe between them breaks.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.node import supervisor
from pipeline.node.supervisor import Orders
from tests.unit.node.processes import eventually, lives

LAUNCHER = """
import os, subprocess, sys
server = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
with open(sys.argv[1] + ".new", "w") as out:
    out.write(f"{os.getpid()} {server.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
sys.exit(server.wait())
"""
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + ".new", "w") as out:
    out.write(f"{os.getpid()} {os.getpid()}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
# Starts the supervisor as `siemlite` does, and then waits to be killed.
PARENT = """
import os, subprocess, sys, time
keeper = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          start_new_session=True)
orders = sys.argv[2].replace('"PARENT"', str(os.getpid()))
keeper.stdin.write(orders.encode() + b"\\n")
keeper.stdin.flush()
if len(sys.argv) > 3 and os.fork() == 0:
    time.sleep(600)  # holds the lifeline open, and never execs
sys.stdout.write(keeper.stdout.readline().decode())
sys.stdout.flush()
time.sleep(600)
"""


class Bench:
    """One supervisor under test, with the processes that it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orders = self.running(LAUNCHER)
        self.started: list[subprocess.Popen[bytes]] = []
        self.supervisor = 0

    def running(self, program: str) -> Orders:
        return Orders(
            command=[sys.executable, "-c", program, str(self.folder / "pids")],
            environment={"PATH": os.environ["PATH"]},
            folder=str(self.folder),
            console=str(self.folder / "console.log"),
            lock=str(self.folder / "run.lock"),
            state_file=str(self.folder / "run.json"),
            state={"url": "http://127.0.0.1:1"},
            user=None,
            group=None,
            parent=os.getpid(),
        )

    def start(self) -> subprocess.Popen[bytes]:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(keeper)
        assert keeper.stdin
        keeper.stdin.write(json.dumps(asdict(self.orders)).encode() + b"\n")
        keeper.stdin.flush()
        self._note(keeper)
        return keeper

    def start_by_a_parent(self, *, that_forks: bool = False) -> subprocess.Popen[bytes]:
        orders = json.dumps({**asdict(self.orders), "parent": "PARENT"})
        arguments = [sys.executable, "-c", PARENT, supervisor.__file__, orders, *(["fork"] if that_forks else [])]
        parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True)
        self.started.append(parent)
        self._note(parent)
        return parent

    def _note(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        answer = json.loads(process.stdout.readline())
        self.supervisor = answer["supervisor"]
        assert eventually((self.folder / "pids").exists)

    @property
    def pids(self) -> list[int]:
        return [int(pid) for pid in (self.folder / "pids").read_text().split()]

    def all_gone(self) -> bool:
        return not any(lives(pid) for pid in [*self.pids, self.supervisor])

    @property
    def locked(self) -> bool:
        with (self.folder / "run.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for process in made.started:
        with contextlib.suppress(ProcessLookupError):  # ended, as it should
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        process.wait()


def test_while_the_parent_lives_the_server_lives_and_is_on_record(bench: Bench) -> None:
    bench.start()
    state = json.loads((bench.folder / "run.json").read_text())
    assert state == {
        "url": "http://127.0.0.1:1",
        "supervisor": bench.supervisor,
        "launcher": bench.pids[0],
        "detached": False,
    }
    assert bench.locked
    assert all(lives(pid) for pid in bench.pids)


def test_a_closed_lifeline_ends_the_server_and_clears_the_record(bench: Bench) -> None:
    keeper = bench.start()
    assert keeper.stdin
    keeper.stdin.close()
    assert keeper.wait(30) == 0
    assert bench.all_gone()
    assert not (bench.folder / "run.json").exists()
    assert not bench.locked


def test_sigterm_ends_the_server(bench: Bench) -> None:
    keeper = bench.start()
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(30) == 0
    assert bench.all_gone()


def test_a_killed_parent_takes_the_server_along(bench: Bench) -> None:
    parent = bench.start_by_a_parent()
    parent.kill()
    assert eventually(bench.all_gone)
    assert not (bench.folder / "run.json").exists()


def test_a_fork_of_the_parent_that_holds_the_lifeline_does_not_keep_the_server(bench: Bench) -> None:
    parent = bench.start_by_a_parent(that_forks=True)
    parent.kill()
    assert eventually(bench.all_gone)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_a_killed_supervisor_takes_the_server_along(bench: Bench) -> None:
    keeper = bench.start()
    keeper.kill()
    assert eventually(bench.all_gone)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="needs Linux, and root")
def test_a_killed_supervisor_takes_a_server_of_another_user_along(bench: Bench) -> None:
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o777)
        pids = Path(shared) / "pids"
        (bench.folder / "pids").symlink_to(pids)
        program = 'echo "$$ $$" > "$0.new"; mv "$0.new" "$0"; exec sleep 600'
        bench.orders = replace(
            bench.orders, command=["/bin/sh", "-c", program, str(pids)], user=65_534, group=65_534, folder="/"
        )
        keeper = bench.start()
        assert Path(f"/proc/{bench.pids[0]}").stat().st_uid == 65_534
        keeper.kill()
        assert eventually(bench.all_gone)


def test_a_killed_server_ends_the_supervisor(bench: Bench) -> None:
    keeper = bench.start()
    os.kill(bench.pids[1], signal.SIGKILL)
    assert keeper.wait(30) == 0
    assert bench.all_gone()
    assert not (bench.folder / "run.json").exists()


def test_a_server_that_ignores_sigterm_is_killed(bench: Bench) -> None:
    bench.orders = replace(bench.running(STUBBORN), grace=0.5)
    keeper = bench.start()
    assert keeper.stdin
    keeper.stdin.close()
    assert keeper.wait(30) == 0
    assert bench.all_gone()


def test_a_detached_server_outlives_its_starter_until_sigterm(bench: Bench) -> None:
    bench.orders = replace(bench.orders, parent=None)
    keeper = bench.start()
    assert keeper.stdin
    assert keeper.stdout
    keeper.stdin.close()
    assert keeper.stdout.read() == b""  # who reads the starter's output to its end is not kept waiting
    assert keeper.wait(30) == 0
    assert bench.supervisor != keeper.pid
    assert lives(bench.supervisor)
    assert all(lives(pid) for pid in bench.pids)
    os.kill(bench.supervisor, signal.SIGTERM)
    assert eventually(bench.all_gone)
    assert not bench.locked


def refused(bench: Bench) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", supervisor.__file__],
        input=json.dumps(asdict(bench.orders)).encode() + b"\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    error: str = json.loads(done.stdout)["error"]
    return error


def test_a_second_supervisor_of_a_home_is_refused(bench: Bench) -> None:
    bench.start()
    assert "run.lock is held" in refused(bench)
    assert all(lives(pid) for pid in bench.pids)


def test_a_look_at_the_lock_does_not_refuse_the_start(bench: Bench) -> None:
    with (bench.folder / "run.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        bench.started.append(keeper)
        assert keeper.stdin
        keeper.stdin.write(json.dumps(asdict(bench.orders)).encode() + b"\n")
        keeper.stdin.flush()
        assert eventually(lambda: opened(keeper.pid, bench.folder / "run.lock"))
        fcntl.flock(lock, fcntl.LOCK_UN)
    bench._note(keeper)
    assert bench.locked


def opened(pid: int, path: Path) -> bool:
    if not Path("/proc/self/fd").exists():
        return True
    return any(link.exists() and link.resolve() == path for link in Path(f"/proc/{pid}/fd").iterdir())


def test_a_program_that_cannot_be_started_is_named(bench: Bench) -> None:
    bench.orders = replace(bench.orders, command=["/no/such/server"])
    assert "/no/such/server" in refused(bench)
    assert not bench.locked


def test_the_console_is_not_written_through_a_link(bench: Bench) -> None:
    victim = bench.folder / "victim"
    victim.write_text("precious")
    (bench.folder / "console.log").symlink_to(victim)
    assert refused(bench)
    assert victim.read_text() == "precious"
