"""What an alert says, and that its document says the same."""

from dataclasses import replace

import pytest

from pipeline.alerts.document import from_document, to_source
from pipeline.alerts.episodes import Episode
from pipeline.alerts.record import Alert, headline, new_alert
from pipeline.alerts.rollups import of_storm
from pipeline.detection.detection import Detection
from pipeline.detection.durations import hours
from pipeline.detection.kinds.absence import Absence
from pipeline.detection.kinds.drop import Drop
from pipeline.detection.timeline import Severity
from pipeline.elastic.compare_and_set import Document, Version
from pipeline.errors import PermanentError
from pipeline.events.redaction import Redactor
from tests.unit.alerts.memory_engine import address, detection

NOW = 1_750_000_000_000


def alert(of: Detection, count: int = 7) -> Alert:
    return new_alert(
        of, "key", address("192.0.2.7"), Episode(1, NOW - 9000, NOW - 4000, NOW, Severity.HIGH, 5), count=count
    )


def test_the_line_about_an_alert_says_what_was_asked_for() -> None:
    assert headline(alert(detection())).endswith("Z (3 events within 15 minutes)")


def test_a_value_that_reads_like_the_rest_of_the_line_stands_in_quotes() -> None:
    forged = replace(alert(detection()), group=(("user.id", 'bob: 0 events ("closed"), user.id=x'),))
    assert headline(forged).startswith(r'user.id="bob: 0 events (\"closed\"), user.id=x": 7 events from ')


def test_the_line_about_an_alert_names_the_session_whose_id_is_a_keyed_hash() -> None:
    stolen = replace(alert(detection()), group=(("session.id", "9f86d081884c7d65"),))
    assert headline(stolen, Redactor().text).startswith("session.id=9f86d081884c7d65: 7 events from ")


def test_a_silence_does_not_read_as_an_event() -> None:
    kind = Absence(severity=Severity.HIGH, group_by="source.address", within=hours(1))
    silent = replace(detection(), kind=kind)
    line = headline(alert(silent, 1))
    assert line == (
        "source.address=192.0.2.7: quiet since 2025-06-15T15:06:31.000Z, noticed 2025-06-15T15:06:40.000Z "
        "(no event for 1 hour after at least 1)"
    )
    assert alert(silent, 1).span == ("Quiet since", "Noticed")
    assert alert(detection()).span == ("First event", "Last event")


def test_a_drop_in_which_events_still_came_is_not_called_quiet() -> None:
    kind = Drop(severity=Severity.LOW, group_by="source.address", at_least=60, ratio=0.1, within=hours(1))
    fallen = alert(replace(detection(), kind=kind), 4)
    assert headline(fallen).startswith(
        "source.address=192.0.2.7: 4 events since 2025-06-15T15:06:31.000Z, noticed 2025-06-15T15:06:40.000Z (at most "
    )
    assert fallen.span == ("Few since", "Noticed")


def test_a_document_holds_the_alert_and_one_without_a_condition_can_be_read() -> None:
    found = replace(alert(detection()), by_clock=True, examples=("an event",))
    version = Version(0, 1)
    source = to_source(found)
    assert from_document(Document(found.id, version, source)) == found
    del source["siemlite"]["condition"]
    assert from_document(Document(found.id, version, source)) == replace(found, condition="")


def test_a_document_whose_query_is_none_is_no_alert() -> None:
    found = alert(detection())
    for query in ("{", "[]", '{"a":' * 900 + "1" + "}" * 900):
        source = to_source(replace(found, query=query))
        with pytest.raises(PermanentError, match="cannot be read"):
            from_document(Document(found.id, Version(0, 1), source))


def test_a_roll_up_says_what_was_asked_for_once_at_most() -> None:
    found = [alert(detection()), alert(detection(), 8)]
    assert not [example for example in of_storm(detection(), found).examples if "within" in example]
