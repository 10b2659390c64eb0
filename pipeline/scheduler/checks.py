"""What can be wrong with the daemon: the checks that `Operations` makes.

Invariant: a check looks at what the daemon noted in passing and asks nobody, so that it works when
everything else does not.
"""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.clock import Clock
from pipeline.delivery.retry import Failure
from pipeline.detection.timeline import Severity
from pipeline.scheduler.availability import Availability
from pipeline.scheduler.health import Vitals
from pipeline.scheduler.operations import Trouble
from pipeline.scheduler.passes import PassOutcome
from pipeline.scheduler.report import PASSED_OVER_S, TOGETHER

AWAY_S = 60.0
BEHIND_S = 300.0
NO_PASS_S = 120.0
FAILING_S = 120.0
LATE_S = 30.0


class _PassedOver(NamedTuple):
    """That a detection passed over so many `groups`, last at the monotonic second `at`."""

    at: float
    groups: int
    text: str


class Checks:
    """Notes what happens and names what is wrong. Safe to use from several threads."""

    def __init__(
        self,
        clock: Clock,
        availability: Availability,
        vitals: Vitals,
        unloaded: Callable[[], Sequence[Exception]] = tuple,
    ) -> None:
        """`unloaded` says which detection files cannot be loaded, and why."""
        self._clock = clock
        self._availability = availability
        self._vitals = vitals
        self._lock = threading.Lock()
        self._outcome: PassOutcome | None = None
        self._evaluated: dict[str, float] = {}
        self._channels: dict[str, Failure] = {}
        self._canary: str | None = None
        self._passed_over: dict[str, _PassedOver] = {}
        self._unloaded = unloaded

    def passed(self, outcome: PassOutcome, _seconds: float) -> None:
        """Note a pass."""
        now = self._clock.monotonic()
        passed_over = {n: one for n, one in self._passed_over.items() if now - one.at < PASSED_OVER_S}
        evaluated = {name: self._evaluated.get(name, now) for name in outcome.beside}
        for detection in outcome.detections:
            name = detection.detection_id
            caught_up = detection.error is None and not detection.more
            evaluated[name] = now if caught_up else self._evaluated.get(name, now)
            if detection.passed_over is not None:
                before = passed_over.get(name)
                groups = detection.coverage.unjudged + (0 if before is None else before.groups)
                passed_over[name] = _PassedOver(now, groups, detection.passed_over)
        self._passed_over = passed_over  # never changed in place: `all` reads it from another thread
        self._evaluated = {**self._evaluated, **evaluated} if outcome.stopped else evaluated
        self._outcome = outcome

    def attempted(self, channel: str, failure: Failure | None) -> None:
        """Note an attempt to deliver."""
        with self._lock:
            if failure is None:
                self._channels.pop(channel, None)
            else:
                self._channels[channel] = failure

    def canary(self, problem: str | None) -> None:
        """Note what the latest drill of the canary came to: `None` is well."""
        self._canary = problem

    def all(self) -> Sequence[Trouble]:
        """Return everything that is wrong now."""
        return (
            *self._elasticsearch(),
            *self._files(),
            *self._detections(),
            *self._groups(),
            *self._passes(),
            *self._jobs(),
            *self._deliveries(),
            *self._drills(),
        )

    def _elasticsearch(self) -> Sequence[Trouble]:
        if self._availability.away_for_s is None or not self._vitals.led:
            return ()
        return (
            Trouble(
                "elasticsearch",
                "Elasticsearch is unreachable",
                f"nothing is evaluated: {self._availability.reason}",
                "Events wait in the spools of their hosts and are evaluated once it is back. Look at the cluster's "
                "health and at the network between.",
                Severity.CRITICAL,
                AWAY_S,
            ),
        )

    def _files(self) -> Sequence[Trouble]:
        failures = self._unloaded() if self._vitals.leads else ()
        if not failures:
            return ()
        title = "a detection cannot be loaded" if len(failures) == 1 else f"{len(failures)} detections cannot be loaded"
        text = "; ".join(" ".join(str(failure).split())[:300] for failure in failures[:TOGETHER])
        guide = "What it watches for is not watched for. Repair the file, or move it away: it is loaded at once."
        return (Trouble("detection files", title, text, guide),)

    def _jobs(self) -> Sequence[Trouble]:
        if not self._vitals.leads:
            return ()
        guide = "It is tried again and again. What is written waits, and nobody is told of it before this is mended."
        return tuple(
            Trouble(f"job {name}", f"the scheduler's work {name!r} fails", why, guide, Severity.HIGH)
            for name, why in sorted(self._vitals.failing_jobs.items())
        )

    def _groups(self) -> Sequence[Trouble]:
        if not self._vitals.leads:
            return ()
        guide = (
            "Their events are looked at again only once more of them arrive. Repair the file, then look at what was "
            "passed over with `siemlite detect --id ID --from TIME --to TIME`."
        )
        return tuple(
            Trouble(
                f"groups of {name}",
                f"the detection {name} passed over what it could not judge",
                f"{'a group' if one.groups == 1 else f'{one.groups} groups'} in the last hour: {one.text}",
                guide,
                patience_s=0.0,
            )
            for name, one in sorted(self._passed_over.items())
        )

    def _detections(self) -> Sequence[Trouble]:
        outcome = self._outcome
        if outcome is None or not self._vitals.leads:
            return ()
        guide = "Its checkpoint stays, so nothing is lost: repair the file, or the index that it asks for."
        failed = outcome.failed
        if len(failed) > TOGETHER:
            names = ", ".join(d.detection_id for d in failed)
            text = f"{names}; the first because: {failed[0].error}"
            return (Trouble("detections", f"{len(failed)} detections are not evaluated", text, guide),)
        return tuple(
            Trouble(
                f"detection {d.detection_id}", f"the detection {d.detection_id} is not evaluated", str(d.error), guide
            )
            for d in failed
        )

    def _passes(self) -> Sequence[Trouble]:
        if not self._vitals.leads or self._availability.away_for_s is not None:
            return ()
        troubles = []
        age, led = self._vitals.pass_age_s, self._vitals.leads_for_s
        age = led if age is None else min(age, led)  # what was before this scheduler led is another's
        took = self._vitals.pass_took_s  # while each takes so long, the end of one is not the end of the trouble
        if age > NO_PASS_S or took > NO_PASS_S:
            text = f"no pass has succeeded for {age:.0f} s" if age > NO_PASS_S else f"the last one took {took:.0f} s"
            guide = "See the daemon's log for the step that hangs or fails."
            troubles.append(Trouble("passes", "passes do not succeed", text, guide, Severity.CRITICAL, 0.0))
        outcome = self._outcome
        behind = 0 if outcome is None else max((d.coverage.behind for d in outcome.detections), default=0)
        if behind:
            text = f"{behind} arrivals are still to be evaluated"
            guide = "More arrives than is evaluated. Look at the load of Elasticsearch and at the slowest detections."
            troubles.append(Trouble("coverage", "evaluation is behind", text, guide, patience_s=BEHIND_S))
        now = self._clock.monotonic()
        failed = set() if outcome is None else {d.detection_id for d in outcome.failed}
        waits = {n: now - at for n, at in self._evaluated.items() if now - at > BEHIND_S and n not in failed}
        if waits and not behind:
            text = f"{', '.join(sorted(waits))}: not evaluated for {max(waits.values()):.0f} s"
            guide = "Their searches take long. `siemlite coverage` shows how late each is; narrow where, or the window."
            troubles.append(Trouble("slow detections", "detections are evaluated late", text, guide, patience_s=LATE_S))
        return troubles

    def _deliveries(self) -> Sequence[Trouble]:
        with self._lock:
            failing = sorted(self._channels.items())
        return tuple(
            Trouble(
                f"channel {name}",
                f"alerts do not go out by {name}",
                failure.reason,
                f"Alerts that {name} refused for good wait as dead deliveries: mend the channel, then run "
                "`siemlite alerts retry`. The others are tried again by themselves.",
                patience_s=0.0 if failure.permanent else FAILING_S,
                channel=name,
            )
            for name, failure in failing
        )

    def _drills(self) -> Sequence[Trouble]:
        problem = self._canary
        if problem is None:
            return ()
        guide = "A synthetic attack was logged and no alert came of it: real ones may be missed too."
        return (Trouble("canary", "the canary's drill fails", problem, guide, Severity.CRITICAL, 0.0),)
