"""What the detection benchmark found: its figures, their tables, and the record that is kept of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench import machine

RECORD = Path(__file__).parent / "detect-results.json"


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """One contender over one set of events; `answer` says how it compares with the truth.

    `start_cpu` is the processor time, of client and server, of a run that has nothing to evaluate.
    """

    contender: str
    events: int
    minutes: int
    attackers: int
    seconds: float
    client_cpu: float
    server_cpu: float
    peak_mib: float
    answer: str
    start_cpu: float = 0.0

    @property
    def cpu(self) -> float:
        """Return the processor time of client and server."""
        return self.client_cpu + self.server_cpu


@dataclass(frozen=True, slots=True)
class PassRun:
    """Passes: their median time, and the processor time of one."""

    what: str
    detections: int
    stored: int
    seconds: float
    client_cpu: float
    server_cpu: float
    incomplete: int


@dataclass(frozen=True, slots=True)
class ExamplesRun:
    """`siemlite test` on a warm server: the median time of a run, from the start of the process to its end."""

    detections: int
    runs: int
    seconds: float


def verdict(found: dict[str, list[Any]], right: dict[str, list[int]]) -> str:
    """Return how the crossings `found` of each group compare with the right ones."""
    if found.keys() != right.keys():
        return f"{len(right.keys() - found.keys())} groups missed, {len(found.keys() - right.keys())} wrong"
    crossings = sum(len(times) for times in right.values())
    told = sum(len(times) for times in found.values())
    if all(found[group] == times for group, times in right.items()):
        return f"exact: {len(right)} groups, {crossings} crossings"
    return f"the right {len(right)} groups, {told} of {crossings} crossings"


def show(console: Console, runs: Sequence[HistoryRun], passes: Sequence[PassRun], examples: ExamplesRun | None) -> None:
    """Print what was run as tables, and how the contenders over history compare."""
    if runs:
        _show_history(console, runs)
    if passes:
        _show_passes(console, passes)
    if examples is not None:
        console.print(f"siemlite test: {examples.detections} detections, with mutations, in {examples.seconds:.1f} s")


def _show_history(console: Console, runs: Sequence[HistoryRun]) -> None:
    table = Table(title="5 within 15 minutes, over history")
    for heading in (
        "contender",
        "events",
        "minutes",
        "attackers",
        "s",
        "client CPU s",
        "server CPU s",
        "start CPU s",
        "peak MiB",
        "answer",
    ):
        table.add_column(heading, justify="left" if heading in ("contender", "answer") else "right", no_wrap=True)
    for run in runs:
        cpu = (f"{run.client_cpu:.2f}", f"{run.server_cpu:.2f}", f"{run.start_cpu:.2f}")
        figures = (f"{run.seconds:.1f}", *cpu, f"{run.peak_mib:.0f}")
        table.add_row(run.contender, f"{run.events:,}", str(run.minutes), str(run.attackers), *figures, run.answer)
    console.print(table)
    for attackers in sorted({run.attackers for run in runs}):
        by_name = {run.contender: run for run in runs if run.attackers == attackers}
        if len(by_name) == 2:
            own, peer = by_name["siemlite"], by_name["ElastAlert2"]
            started = (peer.cpu - peer.start_cpu) / (own.cpu - own.start_cpu)
            console.print(
                f"{attackers} attackers: {peer.cpu / own.cpu:.0f} times less processor time than ElastAlert2,"
                f" {started:.0f} times without the start of either"
            )


def _show_passes(console: Console, passes: Sequence[PassRun]) -> None:
    table = Table(title="one pass, with what arrived since the one before")
    for heading in ("what", "detections", "events stored", "s", "client CPU s", "server CPU s", "not evaluated"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=True)
    for one in passes:
        spent = (f"{one.seconds:.2f}", f"{one.client_cpu:.2f}", f"{one.server_cpu:.2f}", str(one.incomplete))
        table.add_row(one.what, f"{one.detections:,}", f"{one.stored:,}", *spent)
    console.print(table)


def record(
    described: object, runs: Sequence[HistoryRun], passes: Sequence[PassRun], examples: ExamplesRun | None
) -> None:
    """Put what was run in its place in the record, beside what other runs put there."""
    kept = orjson.loads(RECORD.read_bytes()) if RECORD.exists() else {}
    taken = {"machine": described, "commit": machine.commit()}
    for attackers in {run.attackers for run in runs}:
        own = [asdict(run) for run in runs if run.attackers == attackers]
        kept[f"history, {own[0]['minutes']} minutes, {attackers} attackers"] = {**taken, "runs": own}
    for one in passes:
        kept[f"pass, {one.what}"] = {**taken, **asdict(one)}
    if examples is not None:
        kept["examples"] = {**taken, **asdict(examples)}
    RECORD.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
