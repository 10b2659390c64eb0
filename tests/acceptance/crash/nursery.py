"""Where the processes that are killed come from: a fork server that has imported everything already."""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.acceptance.crash import child
from tests.acceptance.crash.child import Orders

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.acceptance.crash.child",
        "pipeline.app.shipping",
        "pipeline.ship",
        "pipeline.cli.start",
        "pipeline.cli.arguments",
        "pipeline.sources.follow",
        "pipeline.sources.formats.json_lines",
        "elasticsearch",
    ]
)
_LONGEST_SECONDS = 120.0


class Child:
    """A process to be killed."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self.process.exitcode is not None

    def output(self) -> str:
        """Return what all children with this output wrote so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def wait(self, seconds: float = _LONGEST_SECONDS) -> int | None:
        """Return the exit code, or None where it still runs after `seconds`."""
        self.process.join(seconds)
        return self.process.exitcode

    def kill(self) -> None:
        """End it, and what it forked, by SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()  # has perhaps no group of its own yet
        self.process.join()

    def terminate(self, seconds: float = 5.0) -> None:
        """End it by SIGTERM; it must do so with exit 0 within `seconds`."""
        began = time.monotonic()
        self.process.terminate()
        self.process.join(seconds + 5)
        took = time.monotonic() - began
        assert self.process.exitcode == 0, f"exit {self.process.exitcode} after SIGTERM; {self.output()[-2000:]}"
        assert took <= seconds, f"{took:.1f} s from SIGTERM to the end; {self.output()[-2000:]}"


@dataclass
class Nursery:
    """Starts children with the same settings; `kills` counts those that ended by SIGKILL."""

    folder: Path
    settings: Mapping[str, str]
    rng: random.Random
    constants: Mapping[str, float]
    clock_jumps_ms: int = 0
    kills: int = 0

    def orders(self, plan: Mapping[str, int] | None = None) -> Orders:
        """Return orders for a child."""
        return Orders(
            self.settings,
            self.folder / "output.txt",
            plan or {},
            self.constants,
            self.clock_jumps_ms,
            self.rng.getrandbits(32),
        )

    def command(self, *arguments: str, plan: Mapping[str, int] | None = None) -> Child:
        """Start `siemlite` with `arguments`."""
        return self.start(child.run_command, self.orders(plan), list(arguments))

    def application(
        self, service: str, first: int, journal: Path, *, forks: bool, plan: Mapping[str, int] | None = None
    ) -> Child:
        """Start an application that logs."""
        orders = self.orders(plan)
        run = child.run_application
        return self.start(run, replace(orders, output=self.folder / "application.txt"), service, first, journal, forks)

    def start(self, target: Callable[..., None], orders: Orders, *given: Any) -> Child:
        """Start a child."""
        process = _context.Process(target=target, args=(orders, *given), daemon=False)
        process.start()
        return Child(process, orders.output)

    def let_die(self, child: Child, seconds: float | None) -> bool:
        """Kill `child` after `seconds`, or wait until it dies by its own failpoint; return whether it was killed.

        A child that ended otherwise before that must have ended well.
        """
        code = child.wait(_LONGEST_SECONDS if seconds is None else seconds)
        if code is None:
            assert seconds is not None, f"neither dead nor done after {_LONGEST_SECONDS} s; {child.output()[-2000:]}"
            child.kill()
            code = child.process.exitcode
        else:
            child.kill()  # what it forked
        assert code in (0, -signal.SIGKILL), f"exit {code}; {child.output()[-2000:]}"
        if code == -signal.SIGKILL:
            self.kills += 1
        return code != 0
