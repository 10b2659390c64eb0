"""The built-in detections: complete in their words, true to their examples, and tested to the last mutation."""

import pytest
from elasticsearch import Elasticsearch

from pipeline.detection import Detection
from pipeline.engine.loader import BUILT_IN, load_detections
from pipeline.engine.trial import run_examples
from pipeline.engine.trial_text import verdict_lines

LOADED = load_detections([BUILT_IN])


def test_all_of_them_load() -> None:
    assert LOADED.failures == ()
    assert len(LOADED.detections) >= 25


@pytest.mark.parametrize("detection", LOADED.detections, ids=lambda detection: detection.id)
def test_a_built_in_detection_says_what_to_do(detection: Detection) -> None:
    assert detection.attack
    assert "Triage:" in detection.guide
    assert "False positives:" in detection.guide
    assert detection.kind.fires
    assert detection.kind.quiet
    assert detection.suppress_for >= 3_600_000


def test_the_detections_that_others_know_keep_their_meaning() -> None:
    named = {detection.id: detection for detection in LOADED.detections}
    assert named["brute_force_by_address"].kind.summary() == "5 events within 15 minutes"
    assert named["suspicious_address"].kind.summary() == "10 events within 1 hour"
    assert named["password_spraying"].kind.summary() == "10 values of user.id within 1 hour"
    for name, suppress_for in (("brute_force_by_address", 60), ("suspicious_address", 60), ("password_spraying", 240)):
        assert named[name].suppress_for == suppress_for * 60_000
        assert named[name].group_by == ("source.address",)


def test_their_examples_do_what_they_say_and_notice_every_mutation(es_url: str) -> None:
    client = Elasticsearch(es_url, request_timeout=60)
    verdicts = run_examples(client, LOADED.detections)
    told = [line for verdict in verdicts if not verdict.passed or verdict.untested for line in verdict_lines(verdict)]
    assert told == []
    assert not client.indices.exists(index="security-trial-*", allow_no_indices=False)
