"""What counts as wrong with the daemon."""

from pipeline.delivery.retry import Failure
from pipeline.detection.timeline import Severity
from pipeline.engine.result import Coverage
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.checks import NO_PASS_S, Checks
from pipeline.scheduler.health import UNSEEN_S, Vitals
from pipeline.scheduler.passes import DetectionOutcome, PassOutcome
from tests.unit.clocks import ManualClock


class Daemon:
    """A leader that has just passed."""

    def __init__(self, *, leads: bool = True) -> None:
        self.clock = ManualClock()
        self.availability = Availability(self.clock)
        self.vitals = Vitals(self.clock, ready_within_s=45)
        self.unloaded: list[Exception] = []
        self.checks = Checks(self.clock, self.availability, self.vitals, lambda: self.unloaded)
        self.vitals.lease_seen(leads=leads)
        self.passed(DetectionOutcome("a"))

    def passed(self, *detections: DetectionOutcome, beside: tuple[str, ...] = ()) -> None:
        """Let a pass end."""
        outcome = PassOutcome(detections, beside=beside)
        self.vitals.pass_ended(outcome)
        self.checks.passed(outcome, 0.1)

    def names(self) -> list[str]:
        """Return the names of what is wrong."""
        return [trouble.name for trouble in self.checks.all()]


def test_all_is_well() -> None:
    assert Daemon().names() == []


def test_elasticsearch_away_is_one_trouble_however_many_jobs_fail_and_passes_are_none() -> None:
    daemon = Daemon()
    daemon.availability.lost("pass", RetryableError("no answer"))
    daemon.availability.lost("lease", RetryableError("no answer"))
    daemon.clock.advance(1000)
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.severity) == ("elasticsearch", Severity.CRITICAL)
    assert "no answer" in trouble.text


def test_a_standby_leaves_it_to_the_leader_to_speak() -> None:
    daemon = Daemon(leads=False)
    daemon.availability.lost("lease", RetryableError("no answer"))
    daemon.clock.advance(UNSEEN_S - 1)
    assert daemon.names() == []


def test_a_standby_that_has_not_seen_the_lease_for_minutes_speaks_for_the_leader_may_be_gone_as_well() -> None:
    daemon = Daemon(leads=False)
    daemon.availability.lost("lease", RetryableError("no answer"))
    daemon.clock.advance(UNSEEN_S + 1)
    assert daemon.names() == ["elasticsearch"]


def test_one_that_takes_over_is_not_blamed_for_the_time_before() -> None:
    daemon = Daemon(leads=False)
    daemon.clock.advance(10 * NO_PASS_S)
    daemon.vitals.lease_seen(leads=True)
    daemon.vitals.pass_began()
    assert "passes" not in daemon.names()
    daemon.clock.advance(NO_PASS_S + 1)
    daemon.vitals.lease_seen(leads=True)
    assert "passes" in daemon.names()


def test_work_of_the_leader_that_fails_for_good_is_a_trouble_until_it_succeeds() -> None:
    daemon = Daemon()
    daemon.vitals.job_failed("dispatch slack", "400 no nested object")
    [trouble] = daemon.checks.all()
    assert "dispatch slack" in trouble.title
    assert trouble.text == "400 no nested object"
    daemon.vitals.job_done("dispatch slack")
    assert daemon.names() == []


def test_a_failing_detection_is_named_and_many_are_one_trouble() -> None:
    daemon = Daemon()
    daemon.passed(DetectionOutcome("a", error="refused"), DetectionOutcome("b"))
    assert daemon.names() == ["detection a"]
    daemon.passed(*(DetectionOutcome(name, error="refused") for name in "abcdef"), DetectionOutcome("g"))
    assert daemon.names() == ["detections"]
    daemon.passed(DetectionOutcome("a"))
    assert daemon.names() == []


def test_groups_that_were_passed_over_are_a_trouble_for_an_hour_though_the_next_pass_is_well() -> None:
    daemon = Daemon()
    for _ in range(2):
        daemon.passed(DetectionOutcome("a", passed_over="ValueError", coverage=Coverage(unjudged=2)))
    daemon.passed(DetectionOutcome("a"))
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.patience_s) == ("groups of a", 0)
    assert trouble.text == "4 groups in the last hour: ValueError"
    assert "nothing is lost" not in trouble.guide
    daemon.clock.advance(3_601)
    daemon.passed(DetectionOutcome("a"))
    assert daemon.names() == []


def test_files_that_cannot_be_loaded_are_a_trouble() -> None:
    daemon = Daemon()
    daemon.unloaded.append(ConfigurationError("my.py:3: SyntaxError"))
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.title) == ("detection files", "a detection cannot be loaded")
    assert "my.py:3: SyntaxError" in trouble.text
    daemon.unloaded.clear()
    assert daemon.names() == []


def test_passes_that_stop_are_a_trouble_also_when_there_never_was_one() -> None:
    daemon = Daemon()
    daemon.clock.advance(NO_PASS_S + 1)
    assert daemon.names() == ["passes"]
    fresh = Checks(daemon.clock, daemon.availability, Vitals(daemon.clock, ready_within_s=45))
    assert fresh.all() == ()


def test_evaluation_that_is_behind_is_a_trouble() -> None:
    daemon = Daemon()
    daemon.passed(DetectionOutcome("a", coverage=Coverage(behind=5000)))
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.text) == ("coverage", "5000 arrivals are still to be evaluated")


def test_passes_that_all_take_too_long_are_one_trouble_until_one_does_not() -> None:
    daemon = Daemon()
    for _ in range(3):
        daemon.vitals.pass_began()
        daemon.clock.advance(NO_PASS_S + 1)
        assert daemon.names() == ["passes"]
        daemon.passed(DetectionOutcome("a"))
        assert daemon.names() == ["passes"]
    daemon.vitals.pass_began()
    daemon.clock.advance(1)
    daemon.passed(DetectionOutcome("a"))
    assert daemon.names() == []


def test_a_detection_that_is_evaluated_late_beside_the_passes_is_a_trouble_until_it_is_evaluated() -> None:
    daemon = Daemon()
    quick, slow = DetectionOutcome("quick"), DetectionOutcome("slow")
    daemon.passed(quick, slow)
    for _ in range(62):
        daemon.clock.advance(5)
        daemon.passed(quick, beside=("slow",))
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.text) == ("slow detections", "slow: not evaluated for 310 s")
    daemon.passed(quick, slow)
    assert daemon.names() == []
    daemon.clock.advance(100)
    daemon.passed(quick)
    daemon.clock.advance(301)
    daemon.passed(quick)
    assert daemon.names() == []


def test_a_channel_fails_until_it_takes_a_message_and_a_refusal_is_urgent() -> None:
    daemon = Daemon()
    daemon.checks.attempted("slack", Failure("HTTP 500"))
    daemon.checks.attempted("email", Failure("login is refused", permanent=True))
    email, slack = daemon.checks.all()
    assert (email.channel, email.patience_s) == ("email", 0)
    assert (slack.channel, slack.patience_s > 60) == ("slack", True)
    daemon.checks.attempted("slack", None)
    assert daemon.names() == ["channel email"]


def test_a_canary_that_fails_is_critical_until_it_succeeds() -> None:
    daemon = Daemon()
    daemon.checks.canary("brute_force: no alert after 60 s")
    [trouble] = daemon.checks.all()
    assert (trouble.name, trouble.severity, trouble.patience_s) == ("canary", Severity.CRITICAL, 0)
    daemon.checks.canary(None)
    assert daemon.names() == []
