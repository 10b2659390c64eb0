"""A drill's mark is believed where it is one, and signed for exactly that event."""

from typing import Any

import pytest

from pipeline.events.mark import DRILL, SIGNATURE, DrillMarker, drill_of, is_signed

MARKER = DrillMarker(b"k" * 32)
INSTANT = 1_795_485_600_000
VALID = MARKER.sign("security-logs-2026.11.24", "an-id", "a-drill", INSTANT)


def hit(**fields: list[Any]) -> dict[str, Any]:
    """Return the hit of a signed event, some of its `fields` others."""
    whole = {"@timestamp": [str(INSTANT)], DRILL: ["a-drill"], SIGNATURE: [VALID], **fields}
    return {"_index": "security-logs-2026.11.24", "_id": "an-id", "fields": whole}


def test_a_mark_signed_for_this_event_is_believed() -> None:
    assert is_signed(hit(), MARKER.verify)
    assert drill_of(hit()) == "a-drill"


@pytest.mark.parametrize(
    "fields",
    [
        {SIGNATURE: [VALID, "other"]},
        {SIGNATURE: ["other"]},
        {SIGNATURE: []},
        {DRILL: ["a-drill", "another"]},
        {DRILL: ["another"]},
        {"@timestamp": [str(INSTANT), str(INSTANT + 1)]},
        {"@timestamp": [str(INSTANT + 1)]},
        {"@timestamp": []},
    ],
)
def test_a_mark_of_several_values_or_another_event_is_forged(fields: dict[str, list[Any]]) -> None:
    assert not is_signed(hit(**fields), MARKER.verify)


def test_an_event_without_a_mark_is_real() -> None:
    assert not is_signed({"_index": "i", "_id": "an-id"}, MARKER.verify)
    assert drill_of({"_index": "i", "_id": "an-id"}) == ""
