"""How long a `security.log(…)` call takes: four threads, 2,000 calls a second together, Elasticsearch down.

`make bench-log` runs it.

The goal is a median below 40 µs and a 99th percentile below 1 ms, with nothing shed; everything that a
production call does is on: redaction of keys and values, and the spool with `synchronous=FULL`. What was
logged is counted in the spool afterwards. A second figure, the same calls without a pause, says what one
thread can do at most. Exit 1 where a goal is missed.
"""

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bench import machine
from pipeline import SecurityEvent, SecurityLogger
from pipeline.settings import load_settings
from pipeline.shipping.spool import Spool

MEDIAN_US, P99_US = 40.0, 1_000.0
RECORD = Path(__file__).parent / "log-results.json"
_BACK_TO_BACK = 5_000


def event(number: int) -> dict[str, Any]:
    """Return the arguments of a call: about 500 bytes encoded, with unique values and secrets in a nested body."""
    return {
        "message": f"Login failed for user-{number}",
        "user_id": f"user-{number}",
        "email": f"user-{number}@example.org",
        "ip": f"198.51.{number // 250 % 250}.{number % 250}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "trace_id": hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest(),
        "reason": "invalid_password",
        "attempt": number,
        "request_body": {
            "user": f"user-{number}",
            "password": f"secret-{number}",
            "remember": True,
            "tags": ["a", "b"],
        },
    }


def paced(security: SecurityLogger, threads: int, rate: int, seconds: float) -> list[int]:
    """Call at `rate` calls a second over all `threads`; return each call's nanoseconds."""
    taken: list[list[int]] = [[] for _ in range(threads)]
    step = threads / rate
    begin = time.perf_counter() + 0.2

    def work(which: int) -> None:
        due = begin + which * step / threads
        for turn in range(int(seconds / step)):
            arguments = event(turn * threads + which)
            delay = due - time.perf_counter()
            if delay > 0:
                time.sleep(delay)
            start = time.perf_counter_ns()
            security.log(SecurityEvent.LOGIN_FAILURE, **arguments)
            taken[which].append(time.perf_counter_ns() - start)
            due += step

    workers = [threading.Thread(target=work, args=(which,)) for which in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(nanoseconds for each in taken for nanoseconds in each)


def back_to_back(security: SecurityLogger) -> float:
    """Return the microseconds of a call when one thread makes them without a pause."""
    calls = [event(number) for number in range(_BACK_TO_BACK)]
    start = time.perf_counter_ns()
    for arguments in calls:
        security.log(SecurityEvent.LOGIN_FAILURE, **arguments)
    return (time.perf_counter_ns() - start) / len(calls) / 1_000


def in_spools(home: Path) -> int:
    """Return how many events lie in the spools of `home`."""
    events = 0
    for path in (home / "spool").glob("*.db"):
        spool = Spool(path, max_bytes=2**40)
        events += spool.depth().events
        spool.close()
    return events


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency of security.log")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", action="store_true", help=f"keep the result as {RECORD.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="siemlite-bench-") as folder:
        home = Path(folder)
        described = machine.description(home, "")
        security = SecurityLogger("bench", settings=load_settings(None, siemlite_home=home))
        security.log(SecurityEvent.LOGIN_FAILURE, **event(0))
        security.flush()
        calls = paced(security, options.threads, options.rate, options.seconds)
        closed = security.close(60)
        kept = in_spools(home) - 1
        each_us = back_to_back(security)
        security.close(60)
    result = {
        "calls": len(calls),
        "kept": kept,
        "median_us": calls[len(calls) // 2] / 1_000,
        "p90_us": calls[len(calls) * 90 // 100] / 1_000,
        "p99_us": calls[len(calls) * 99 // 100] / 1_000,
        "p999_us": calls[len(calls) * 999 // 1_000] / 1_000,
        "max_us": calls[-1] / 1_000,
        "back_to_back_us": each_us,
    }
    reached = closed and kept == len(calls) and result["median_us"] < MEDIAN_US and result["p99_us"] < P99_US
    document = {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": machine.commit(),
        "machine": described,
        **{name: round(value, 1) if isinstance(value, float) else value for name, value in result.items()},
        "reached": reached,
    }
    if options.record:
        RECORD.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    if options.json:
        print(orjson.dumps(document).decode())
    else:
        for name, value in result.items():
            print(f"{name:>16} {value:,.1f}" if isinstance(value, float) else f"{name:>16} {value:,}")
        print("goals reached" if reached else f"goals missed: median < {MEDIAN_US:.0f} µs, p99 < {P99_US:.0f} µs")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
