"""Every kind against the reference, over random streams."""

from collections import Counter
from itertools import groupby, product
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detection.kind import Kind
from pipeline.detection.timeline import Row
from tests.property.reference import each, truth
from tests.property.streams import events, kinds

START = 10_000


def timelines(kind: Kind, stream: list[dict[str, Any]]) -> dict[tuple[str, ...], list[Row]]:
    """Return the rows that the engine would read, by group."""
    needed = (*kind.group, *kind.required)
    rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    events_at: Counter[tuple[tuple[str, ...], int]] = Counter()
    for event in stream:
        if not kind.clause.matches(event) or any(event.get(name) is None for name in needed):
            continue
        stream_number = next((n for n, clause in enumerate(kind.streams) if clause.matches(event)), 0)
        group = tuple(str(event[name]) for name in kind.group)
        events_at[group, event["@timestamp"]] += 1
        for values in product(*(each(event.get(name)) for name in kind.columns)):
            rows.setdefault(group, []).append((event["@timestamp"], stream_number, values))
    return {
        group: [
            Row(key[0], len(list(same)), key[2], key[1], events_at[group, key[0]] if kind.counts_events else None)
            for key, same in groupby(sorted(own, key=lambda row: (row[0], row[1], str(row[2]))))
        ]
        for group, own in rows.items()
    }


@pytest.mark.parametrize("name", sorted(kinds(Random(0))))
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_kind_finds_what_looking_at_every_event_finds(name: str, seed: int) -> None:
    random = Random(seed)
    kind = kinds(random)[name]
    stream = events(random, START, random.choice((20, 300)), random.randint(1, 40), 3)
    now_ms = START + random.randrange(400)
    found = {}
    for group, rows in timelines(kind, stream).items():
        crossings = {crossing.time_ms: crossing for crossing in kind.crossings(rows, now_ms)}
        if crossings:
            found[group] = crossings
    assert found == truth(kind, stream, now_ms)
