"""From runs to figures: medians, ratios, the table and the JSON document. Pure but for printing.

A ratio is the median of the ratios within each round, so that a machine that grows slower from round to round does
not favour whoever went first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contenders import (
    CEILING,
    PARALLEL_BULK,
    PARALLEL_BULK_PLAIN,
    RSYSLOG,
    SIEMLITE_API,
    SIEMLITE_FILE,
    WINSTON,
)
from bench.measure import Measurement

TARGETS = {CEILING: 0.5, RSYSLOG: 1.0, PARALLEL_BULK_PLAIN: 1.5, PARALLEL_BULK: 1.5, WINSTON: 3.0}
"""How many times a peer's events a second siemlite is to ship from a file, on 2 cores."""

BUSY_SHARE = 0.05
"""Above this share of the machine used by others, a run's figures are doubtful."""

DOUBTFUL_SHARE = 0.2
"""Above this share of such runs, nothing is judged and nothing recorded."""

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; `verified` is what a look at the stored events said, empty where none was taken."""

    contender: str
    round: int
    measured: Measurement
    verified: str = ""

    @property
    def rate(self) -> float:
        """Events a second until searchable, from the start of the process."""
        return self.measured.events / self.measured.seconds

    def disturbed(self, cores: int) -> bool:
        """Whether others used so much of the machine meanwhile that the figures are doubtful."""
        others = self.measured.others_cpu
        return others is not None and others > BUSY_SHARE * cores * self.measured.seconds


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of one contender: seconds, events a second, MiB, and the ratio to the ceiling.

    `rate_after_start` leaves out the time that one event takes, which is all start-up and fixed waiting.
    """

    contender: str
    runs: int
    rate: float
    rate_after_start: float | None
    start_seconds: float | None
    client_cpu: float
    server_cpu: float | None
    peak_mib: float
    of_ceiling: float | None


def summary(runs: Sequence[Run], starts: Sequence[Run], ceiling: Sequence[Run]) -> Summary:
    """Summarise the runs of one contender; `starts` are its runs with a single event, `ceiling` the ceiling's runs."""
    seconds = median(run.measured.seconds for run in runs)
    start = median(run.measured.seconds for run in starts) if starts else None
    events = runs[0].measured.events
    server = [run.measured.server_cpu for run in runs if run.measured.server_cpu is not None]
    return Summary(
        runs[0].contender,
        len(runs),
        events / seconds,
        (events - 1) / (seconds - start) if start is not None and start < seconds else None,
        start,
        median(run.measured.client_cpu for run in runs),
        median(server) if server else None,
        median(run.measured.peak_bytes for run in runs) / _MIB,
        ratio(runs, ceiling),
    )


def ratio(ours: Sequence[Run], others: Sequence[Run]) -> float | None:
    """Return how many times the events a second of `others` `ours` ships; `None` without a common round."""
    theirs = {run.round: run.rate for run in others}
    ratios = [run.rate / theirs[run.round] for run in ours if run.round in theirs]
    return median(ratios) if ratios else None


def ratios(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Return the ratios of siemlite, from a file and through the API, to each peer."""
    found: dict[str, dict[str, float]] = {}
    for ours in (SIEMLITE_FILE, SIEMLITE_API):
        for other in TARGETS:
            value = ratio(_of(runs, ours), _of(runs, other))
            if value is not None:
                found.setdefault(ours, {})[other] = round(value, 3)
    return found


def document(
    machine: dict[str, Any], commit: str, taken: str, runs: Sequence[Run], starts: Sequence[Run]
) -> dict[str, Any]:
    """Return all figures as a JSON-safe document."""
    names = list(dict.fromkeys(run.contender for run in runs))
    return {
        "taken": taken,
        "commit": commit,
        "machine": machine,
        "events": runs[0].measured.events if runs else 0,
        "medians": [
            _rounded(asdict(summary(_of(runs, name), _of(starts, name), _of(runs, CEILING)))) for name in names
        ],
        "ratios": ratios(runs),
        "targets": {SIEMLITE_FILE: TARGETS},
        "disturbed_runs": sum(run.disturbed(machine["cores"]) for run in runs),
        "runs": [
            {"contender": run.contender, "round": run.round, "verified": run.verified}
            | _rounded(asdict(run.measured))
            | {"rate": round(run.rate)}
            for run in runs
        ],
    }


def doubtful(result: dict[str, Any]) -> bool:
    """Whether others used the machine in so many runs that the figures say nothing."""
    return bool(result["disturbed_runs"] > DOUBTFUL_SHARE * len(result["runs"]))


def show(result: dict[str, Any], absent: dict[str, str], console: Console) -> None:
    """Print the table of medians, the ratios with their targets, and what was left out."""
    machine = result["machine"]
    console.print(
        f"{result['events']:,} events · {machine['cores']} × {machine['processor']} · "
        f"Elasticsearch {machine['elasticsearch']} · Python {machine['python']} · "
        f"a flush to disk takes {machine['flush_ms']} ms"
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("medians")
    for title in (
        "events/s",
        "after start",
        "start s",
        "client CPU s",
        "server CPU s",
        "peak MiB",
        "of ceiling",
        "runs",
    ):
        table.add_column(title, justify="right")
    for row in result["medians"]:
        table.add_row(
            row["contender"],
            f"{row['rate']:,.0f}",
            _number(row["rate_after_start"], ",.0f"),
            _number(row["start_seconds"], ".2f"),
            f"{row['client_cpu']:.2f}",
            _number(row["server_cpu"], ".2f"),
            f"{row['peak_mib']:.0f}",
            _number(row["of_ceiling"], ".2f"),
            str(row["runs"]),
        )
    console.print(table)
    for ours, found in result["ratios"].items():
        parts = [
            _against(other, value, judged=ours == SIEMLITE_FILE and not doubtful(result))
            for other, value in found.items()
        ]
        console.print(f"{ours}: {' · '.join(parts)}")
    for name, how in absent.items():
        console.print(f"left out, not installed: {name}; {how}")
    if result["disturbed_runs"]:
        console.print(
            f"doubtful: in {result['disturbed_runs']} of {len(result['runs'])} runs others used more than "
            f"{BUSY_SHARE:.0%} of the machine" + ("; the aims are not judged" if doubtful(result) else "")
        )


def _against(other: str, value: float, *, judged: bool) -> str:
    text = f"{value:.2f} of {other}"
    if not judged:
        return text
    return f"{text} (aim {TARGETS[other]:g}: {'reached' if value >= TARGETS[other] else 'not reached'})"


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    return [run for run in runs if run.contender == name]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}
