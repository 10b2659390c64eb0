"""What a benchmark's figures were taken on: without it they mean nothing."""

import os
import platform
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

_FLUSHES = 40


def description(folder: Path, elasticsearch: str) -> dict[str, Any]:
    """Describe the machine, its load now, and the disk that `folder` lies on."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "elasticsearch": elasticsearch,
        "load_before": round(os.getloadavg()[0], 2),
        "flush_ms": round(flush_seconds(folder) * 1_000, 2),
    }


def flush_seconds(folder: Path) -> float:
    """Return the median time that a small write takes to be safe on the disk of `folder`."""
    path = folder / "flush"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_FLUSHES):
            began = time.monotonic()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append(time.monotonic() - began)
    path.unlink()
    return median(took)


def commit() -> str:
    """Return the commit that was measured, `+` behind it where files were changed since; empty outside a clone."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
