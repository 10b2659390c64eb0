"""`siemlite scheduler` or `siemlite up`, noting when each pass began and when its refresh was done.

    python -m bench.latency_scheduler PASSES scheduler|up

PASSES takes one line for each pass: two instants in milliseconds since the epoch. Nothing else differs from the
command.
"""

import sys
import time
from pathlib import Path
from typing import Any

from pipeline.cli.main import main as siemlite
from pipeline.engine import engine
from pipeline.engine.passes import begin
from pipeline.scheduler import daemon
from pipeline.scheduler.passes import run_pass


def now_ms() -> int:
    """Return the instant, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def watch(passes: Path) -> None:
    """Have every pass noted in `passes`."""
    file = passes.open("a", buffering=1, encoding="ascii")
    began = [0]

    def noted_pass(*arguments: Any, **options: Any) -> Any:
        began[0] = now_ms()
        return run_pass(*arguments, **options)

    def noted_begin(*arguments: Any, **options: Any) -> Any:
        result = begin(*arguments, **options)
        file.write(f"{began[0]} {now_ms()}\n")
        return result

    vars(daemon)["run_pass"] = noted_pass
    vars(engine)["begin"] = noted_begin


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    sys.exit(siemlite(sys.argv[2:]))
