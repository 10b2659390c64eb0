"""Which alerts go to which channel."""

import pytest

from pipeline.alerts.outbox import Action, Subject
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.channels.console import ConsoleChannel
from pipeline.delivery.notice import Notice
from pipeline.delivery.routing import Routing, parse_routes
from pipeline.detection.timeline import Severity
from pipeline.errors import ConfigurationError


class Fake:
    """A channel that is only asked what it is."""

    actions = frozenset({Action.OPEN})
    reaches_people = True

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        raise AssertionError("routing sends nothing")

    def close(self) -> None:
        """See `Channel.close`."""


ALL: dict[str, Channel] = {
    "console": ConsoleChannel(),
    **{name: Fake(name) for name in ("slack", "pagerduty", "email")},
}
CONSOLE_ONLY: dict[str, Channel] = {"console": ConsoleChannel()}


def subject(
    severity: Severity = Severity.HIGH,
    detection: str = "brute_force",
    tags: tuple[str, ...] = (),
    drill: str | None = None,
) -> Subject:
    return Subject(detection, severity, tags, drill)


def test_without_any_channel_alerts_go_to_the_console() -> None:
    assert Routing(CONSOLE_ONLY).channels(subject()) == ("console",)


def test_without_rules_every_channel_gets_every_alert_and_pagerduty_the_critical_ones() -> None:
    assert Routing(ALL).channels(subject()) == ("slack", "email")
    assert Routing(ALL).channels(subject(Severity.CRITICAL)) == ("slack", "pagerduty", "email")
    assert "pagerduty" in Routing(ALL, (), ("high",)).channels(subject())


def test_an_alert_that_would_reach_nobody_is_written_to_the_console() -> None:
    only_pager: dict[str, Channel] = {"console": ConsoleChannel(), "pagerduty": Fake("pagerduty")}
    assert Routing(only_pager).channels(subject(Severity.LOW)) == ("console",)


@pytest.mark.parametrize(
    ("rule", "alert", "goes"),
    [
        ("email: severity>=high", subject(Severity.HIGH), True),
        ("email: severity>=high", subject(Severity.CRITICAL), True),
        ("email: severity>=high", subject(Severity.MEDIUM), False),
        ("email: severity=low", subject(Severity.LOW), True),
        ("email: severity = HIGH", subject(Severity.HIGH), True),
        ("email: tag=pci", subject(tags=("web", "pci")), True),
        ("email: tag=pci", subject(), False),
        ("email: detection=brute_*", subject(), True),
        ("email: detection=spray*", subject(), False),
        ("email: tag=pci & detection=brute_*", subject(), False),
        ("email: tag=pci & detection=brute_*", subject(tags=("pci",)), True),
        ("email: tag=pci; email: severity>=high", subject(), True),
        ("email:", subject(), True),
    ],
)
def test_a_channel_that_rules_name_gets_what_meets_one_of_them(rule: str, alert: Subject, goes: bool) -> None:
    chosen = Routing(ALL, parse_routes(rule)).channels(alert)
    assert ("email" in chosen) is goes
    assert "slack" in chosen


def test_a_rule_replaces_the_severities_of_pagerduty_and_can_name_the_console() -> None:
    routing = Routing(ALL, parse_routes("pagerduty: tag=pci; console: severity=high"))
    assert routing.channels(subject(tags=("pci",))) == ("console", "slack", "pagerduty", "email")
    assert routing.channels(subject(Severity.CRITICAL)) == ("slack", "email")


def test_what_siemlite_says_of_itself_is_not_lost_between_rules_about_detections() -> None:
    own = [subject(detection=name) for name in ("siemlite_operations", "siemlite_digest")]
    for rules in ("slack: detection=brute_*", "slack: tag=pci & severity>=medium"):
        only_slack: dict[str, Channel] = {"console": ConsoleChannel(), "slack": Fake("slack")}
        routing = Routing(only_slack, parse_routes(rules))
        assert [routing.channels(one) for one in own] == [("slack",), ("slack",)]
        assert routing.channels(subject(detection="other")) == ("console",)
    low = [subject(Severity.LOW, detection="siemlite_operations")]
    routing = Routing(ALL, parse_routes("slack: severity>=medium & tag=pci; email: detection=siemlite_operations"))
    assert [routing.channels(one) for one in (*own, *low)] == [("email",), ("slack", "email"), ("email",)]


def test_a_drill_disturbs_nobody_unless_it_is_asked_to() -> None:
    assert Routing(ALL).channels(subject(Severity.CRITICAL, drill="7f")) == ("console",)
    assert Routing(ALL).channels(subject(Severity.CRITICAL, drill="page-7f")) == ("slack", "pagerduty", "email")


@pytest.mark.parametrize(
    "text", ["email", "email: colour=red", "email: severity>=huge", "email: tag>=x", ": tag=x", "email: tag="]
)
def test_a_rule_that_cannot_be_read_is_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SIEMLITE_ROUTES"):
        parse_routes(text)


def test_a_rule_for_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'slak', which is not configured; there is console, email"):
        Routing(ALL, parse_routes("slak: tag=x"))


def test_an_unknown_severity_for_pagerduty_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SIEMLITE_PAGERDUTY_SEVERITIES"):
        Routing(ALL, (), ("fatal",))
