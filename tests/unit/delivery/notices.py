"""Notices for tests: an ordinary one, and one that holds everything an attacker would like to say."""

from dataclasses import replace

from pipeline.alerts.outbox import Action
from pipeline.delivery.kibana import Link
from pipeline.delivery.notice import Notice
from pipeline.detection.timeline import Severity

ORDINARY = Notice(
    alert_id="0123456789abcdef0123456789abcdef",
    delivery_id="0123456789abcdef0123456789abcdef-open-1750000000000",
    action=Action.OPEN,
    severity=Severity.HIGH,
    title="Brute-force login from one address.",
    summary="source.address=203.0.113.7: 23 events from 2026-11-24T00:00:00.000Z to 2026-11-24T00:04:00.000Z",
    detection_id="brute_force",
    guide="Triage: did a login succeed?",
    group=(("source.address", "203.0.113.7"),),
    count=23,
    first="2026-11-24T00:00:00.000Z",
    crossing="2026-11-24T00:01:00.000Z",
    last="2026-11-24T00:04:00.000Z",
    state="open",
    attack=("T1110.001",),
    links=(Link("Alert", "https://kibana.example.org/app/discover#/?_a=x"),),
)

EVIL = "<!channel> <https://evil.example|click> *bold* _it_ `code` :skull: & @here"

HOSTILE = replace(
    ORDINARY,
    title=EVIL,
    summary=EVIL,
    guide=EVIL * 200,
    group=(("user.name", EVIL), ("user_agent.original", "x" * 40_000), ("a", "<" * 3000)),
    examples=(EVIL, "\U0001f480" * 5000),
    members=2,
)
