"""What the logger's tests share: settings for a home of their own, and what lies in its spools."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.settings import Settings, load_settings
from pipeline.shipping.bulk import event_of, lines_of
from pipeline.shipping.spool import Spool

ROOT = Path(__file__).resolve().parents[3]


def settings_for(home: Path, **overrides: Any) -> Settings:
    """Return the default settings for `home`, whatever the environment says."""
    return load_settings(env_file=None, **{"siemlite_home": home, **overrides})


def spooled(home: Path) -> list[dict[str, Any]]:
    """Return the documents in every spool of `home`, in the order of each spool."""
    return [document for _, document in spooled_with_ids(home)]


def spooled_with_ids(home: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return ids and documents in every spool of `home`."""
    found: list[tuple[str, dict[str, Any]]] = []
    for path in sorted((home / "spool").glob("*.db")):
        spool = Spool(path, max_bytes=2**40)
        try:
            for chunk in spool.take(0, 2**40):
                for lines in lines_of(chunk.body):
                    _, event_id, document = event_of(lines)
                    found.append((event_id, document))
        finally:
            spool.close()
    return found


def codes(documents: Sequence[dict[str, Any]]) -> list[str]:
    """Return the event codes of `documents`."""
    return [document["event"].get("code") for document in documents]


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return an environment for a process of an application that logs into `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIEMLITE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "SIEMLITE_HOME": str(home), **variables}


def run_application(home: Path, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `script` as an application of its own and return how it ended."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env=environment(home, **variables),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start_application(home: Path, script: str, **variables: str) -> subprocess.Popen[str]:
    """Start `script` as an application of its own, its standard output in a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment(home, **variables),
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
    )


def numbers(home: Path) -> list[int]:
    """Return the numbers that the events in `home` carry, in the order of each spool."""
    return [event["siemlite"]["data"]["n"] for event in spooled(home)]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until `condition` holds, for at most `seconds`; return whether it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def broken(home: Path) -> Path:
    """Make `home` one in which no spool can be; return what must be removed to repair it."""
    home.mkdir()
    obstacle = home / "spool"
    obstacle.write_text("")
    return obstacle
