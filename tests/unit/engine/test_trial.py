"""What a trial plays beside the detection itself."""

import pytest

from pipeline.engine import trial
from tests.unit.alerts.memory_engine import detection


def test_mutations_that_cannot_be_made_do_not_pass_for_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise TypeError("no mutation")

    monkeypatch.setattr(trial, "mutations", fails)
    played = detection()
    (label, same), (mutation, other) = trial._definitions(played, mutate=True)
    assert (label, same, other) == (None, played, played)
    assert "TypeError: no mutation" in str(mutation)
