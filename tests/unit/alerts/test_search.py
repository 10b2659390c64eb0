"""Reading alerts that were found."""

from dataclasses import replace

import pytest

from pipeline.alerts.search import read
from pipeline.elastic.compare_and_set import Document, Version


def test_a_document_that_is_no_alert_is_left_out_each_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    spoilt = Document("spoilt-in-this-test", Version(1, 1), {"siemlite": {"state": 7}})
    for _ in range(3):
        assert list(read([spoilt])) == []
    assert [record.message.split(" cannot")[0] for record in caplog.records] == ["the alert spoilt-in-this-test"]
    assert list(read([replace(spoilt, version=Version(2, 1))])) == []
    assert len(caplog.records) == 2, "spoilt anew"
