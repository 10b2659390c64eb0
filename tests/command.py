"""Running `siemlite` as people do: as a process, with an environment of its own."""

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import forking

COMMAND = (sys.executable, "-m", "pipeline.cli.entry")
_ROOT = Path(__file__).parent.parent
_FOREIGN = ("SIEMLITE_", "ELASTICSEARCH_URL", "ES_", "SLACK_", "PAGERDUTY_")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return this process's environment without settings, but for the given ones and `SIEMLITE_HOME`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**clean, "PYTHONPATH": str(_ROOT), "SIEMLITE_HOME": str(home), **variables}


def siemlite(
    env: Mapping[str, str], *arguments: str, stdin: bytes = b"", seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, in an empty working folder."""
    folder = env["SIEMLITE_HOME"] if Path(env["SIEMLITE_HOME"]).is_dir() else "/"
    if forking.can_run(env):
        done = forking.run(env, arguments, stdin, folder, seconds)
    else:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=dict(env),
            input=stdin,
            capture_output=True,
            timeout=seconds,
            check=False,
            cwd=folder,
        )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def on_a_terminal(env: Mapping[str, str], columns: int, *arguments: str) -> list[str]:
    """Run one command whose stdout is a terminal so wide; return the lines that it shows there."""
    screen, terminal = pty.openpty()
    with os.fdopen(screen, "rb", buffering=0) as seen:
        with os.fdopen(terminal, "wb", buffering=0) as shown:
            size = {"TERM": "dumb", "COLUMNS": str(columns), "LINES": "24"}
            process = subprocess.Popen([*COMMAND, *arguments], env={**env, **size}, stdout=shown, cwd="/")
        text = b""
        with suppress(OSError):  # with nobody left to write
            while part := seen.read(65_536):
                text += part
        process.wait()
    return text.decode().splitlines()


@dataclass
class Running:
    """A command that runs in the background; what it writes is collected."""

    process: "subprocess.Popen[str]"
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)

    def until(self, true: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until `true`; fail with what was written where it takes longer than `seconds` or the command ends."""
        deadline = time.monotonic() + seconds
        while not true():
            if self.process.poll() is not None:
                self.ends()
                if true():  # what it wrote last had not been read
                    return
            written = f"stdout: {self.stdout[-20:]}; stderr: {self.stderr[-20:]}"
            assert self.process.poll() is None, f"{what}: ended with {self.process.returncode}; {written}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; {written}"
            time.sleep(0.05)

    def says(self, text: str, seconds: float = 60) -> None:
        """Wait until a line on stderr or stdout holds `text`."""
        self.until(lambda: any(text in line for line in (*self.stderr, *self.stdout)), text, seconds)

    def ends(self, seconds: float = 60) -> int:
        """Wait until the command has ended; return its exit status. All that it wrote is here then."""
        status = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(5)  # a process that it left behind may hold the pipe open
        return status


@contextmanager
def running(env: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    """Run a command in the background; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )
    found = Running(process)
    assert process.stdout is not None
    assert process.stderr is not None
    found.readers = [
        threading.Thread(target=found.stdout.extend, args=(process.stdout,), daemon=True),
        threading.Thread(target=found.stderr.extend, args=(process.stderr,), daemon=True),
    ]
    for reader in found.readers:
        reader.start()
    try:
        yield found
    finally:
        if process.poll() is None:
            process.kill()
        found.ends()
        process.stdout.close()
        process.stderr.close()
