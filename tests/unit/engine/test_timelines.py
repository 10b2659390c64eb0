"""Which suspects are read together."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.detection import Severity, Threshold
from pipeline.engine.timelines import Judge
from pipeline.engine.totals import Suspect

_CLAUSES_OF_EVERY_SERVER = 1_024


@pytest.mark.parametrize("fields", [0, 1, 2, 3, 8])
def test_a_query_for_many_groups_stays_below_the_servers_limit_of_clauses(fields: int) -> None:
    kind = Threshold(severity=Severity.LOW, at_least=2, within=10)
    group_by = tuple(f"field{number}" for number in range(fields))
    view: Any = SimpleNamespace(rows_together=10**9, group_by=group_by, kind=kind)
    suspects = [Suspect(("x",) * fields, ((number, number),), 2) for number in range(2_000)]
    batches = list(Judge(view, 0, 0)._batches(suspects))
    assert sum(len(batch) for batch in batches) == 2_000
    assert all(len(batch) * max(1, fields) < _CLAUSES_OF_EVERY_SERVER for batch in batches)
    assert len(batches) <= 2_000 * max(1, fields) // 450 + 1
