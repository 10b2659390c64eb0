"""The long form of the engine's proof: random histories on a real Elasticsearch. `make exact-test` runs it.

It prints its first seed and how many cases held, and with `--minutes` stops in time and says how to go on.
"""

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress

from tests.conftest import wipe
from tests.node import temporary_node
from tests.property.histories import CASES, History, seeds


def main(arguments: Sequence[str]) -> int:
    """Run histories; return 0 where all cases held, 1 at the first that did not."""
    parser = argparse.ArgumentParser(prog="tests.property.exact", description="Random histories against the reference.")
    parser.add_argument("--cases", type=int, default=10_000, help="detections times histories; 10,000 by default")
    parser.add_argument("--seed", type=int, help="the first history's seed; random by default")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    options = parser.parse_args(arguments)
    first = secrets.randbelow(10**9) if options.seed is None else options.seed
    console = Console(stderr=True)
    print(f"seed {first}: {options.cases:,} cases, {CASES} to a history", flush=True)
    until = None if options.minutes is None else time.monotonic() + options.minutes * 60
    done, crossings, seen = 0, 0, Counter[str]()
    with temporary_node() as node, Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("histories", total=options.cases)
        for seed in seeds(first, options.cases):
            if until is not None and time.monotonic() > until:
                print(f"stopped in time; go on with --seed {seed} --cases {options.cases - done}")
                break
            wipe(node.url)
            try:
                history = History(node.url, seed)
                history.run()
            except AssertionError:
                print(f"after {done:,} cases: history {seed} does not hold; EXACT_SEED={seed} runs it")
                raise
            done += CASES
            crossings += sum(len(own) for found in history.found.values() for own in found.values())
            weather = history.weather
            named = ("proxied", "slow", "skewed", "outage", "stored", "odd_names")
            seen.update(name for name in named if getattr(weather, name))
            seen.update(["several shards"] if weather.shards > 1 else [])
            bar.update(task, completed=done)
    print(f"{done:,} cases held, {done // CASES:,} histories, {crossings:,} true crossings found, none missed")
    print("histories with: " + ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
