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


@pytest.mark.parametrize(
    ("promised", "names"),
    [
        ("brute force by address and by account", ("brute_force_by_address", "brute_force_by_account")),
        ("password spraying", ("password_spraying",)),
        ("credential stuffing across addresses", ("credential_stuffing", "account_tried_from_many_addresses")),
        ("success after guessing", ("success_after_guessing",)),
        ("failures, then MFA disabled", ("failures_then_mfa_disabled",)),
        ("new country or new network for an account", ("new_country_for_account", "new_network_for_account")),
        ("impossible travel", ("impossible_travel",)),
        ("MFA disabled", ("mfa_disabled",)),
        ("password-reset flood", ("password_reset_flood",)),
        ("privilege-escalation attempt", ("privilege_escalation_attempt",)),
        ("bursts of access denied", ("access_denied_burst", "access_denied_by_address")),
        ("bulk export out of hours, above habit", ("bulk_export_out_of_hours", "bulk_export_above_habit")),
        ("sensitive-data access spike", ("sensitive_data_spike",)),
        ("new administrator address", ("new_administrator_address",)),
        ("API key created and then used for export", ("api_key_then_export",)),
        ("many API keys", ("many_api_keys",)),
        ("configuration change that weakens logging", ("logging_weakened",)),
        ("logging gone silent for a service", ("service_silent",)),
        ("gaps in the log", ("log_gap",)),
        ("dead-letter growth", ("dead_letter_growth",)),
        ("leak detector hit", ("secret_leaked",)),
    ],
)
def test_what_was_promised_is_there(promised: str, names: tuple[str, ...]) -> None:
    assert {detection.id for detection in LOADED.detections} >= set(names), promised


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


def test_their_examples_do_what_they_say_and_notice_every_mutation(es_ready: str) -> None:
    client = Elasticsearch(es_ready, request_timeout=60)
    verdicts = run_examples(client, LOADED.detections)
    told = [line for verdict in verdicts if not verdict.passed or verdict.untested for line in verdict_lines(verdict)]
    assert told == []
    assert not client.indices.exists(index="security-trial-*", allow_no_indices=False)
