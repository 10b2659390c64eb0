"""The numbers of shipping, and what is said where some are missing."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.errors import RetryableError
from pipeline.shipping.account import Account
from pipeline.shipping.metrics import ASK_SECONDS, ShippingMetrics
from pipeline.shipping.spools import Spools
from tests.unit.clocks import ManualClock


def test_numbers_that_elasticsearch_does_not_give_are_left_out_and_why_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    answers: list[Account | None] = [None, None, Account(1, 2, 3, {}), None]

    def ask() -> Account:
        answer = answers.pop(0)
        if answer is None:
            raise RetryableError("nobody answers")
        return answer

    registry = CollectorRegistry()
    registry.register(ShippingMetrics(lambda: Spools(tmp_path / "spool", 2**30), tmp_path, clock, ask))
    given = []
    for _ in range(4):
        given.append(b"siemlite_log_gaps" in generate_latest(registry))
        clock.advance(ASK_SECONDS)
    assert given == [False, False, True, False]
    assert [record.message for record in caplog.records] == [
        "the numbers that Elasticsearch is asked for are left out: nobody answers"
    ] * 2
