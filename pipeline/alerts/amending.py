"""What becomes of an alert whose episode goes on: who is to hear of it, and who is not.

Invariants: what goes on is told where it is worse than before, where an end was told, and where what kept it quiet is
over; what a silence covers now owes nobody anything more than it did.
"""

from dataclasses import replace

from pipeline.alerts import outbox
from pipeline.alerts.episodes import Amend
from pipeline.alerts.outbox import Routes
from pipeline.alerts.ports import FloodLimits, Quiet
from pipeline.alerts.record import CLOSED, OPEN, Alert
from pipeline.clock import Clock


class Amending:
    """Decides with `routes`, `quiet` and `limits`, at the time of `clock`."""

    def __init__(self, routes: Routes, quiet: Quiet, limits: FloodLimits, clock: Clock) -> None:
        self._routes = routes
        self._quiet = quiet
        self._limits = limits
        self._clock = clock

    def amended(self, before: Alert, decision: Amend, count: int) -> Alert:
        """Return the alert as `decision` leaves it; what a silence covers now owes nobody anything more."""
        after = self._gone_on(before, decision, count)
        if after.deliveries == before.deliveries or after.drill is not None:
            return after
        silence = self._quiet.silence(after, self._clock.now_ms())
        return after if silence is None else replace(after, silence=silence, deliveries=before.deliveries)

    def _gone_on(self, before: Alert, decision: Amend, count: int) -> Alert:
        now = self._clock.now_ms()
        # An episode only widens: retention may have removed its first events meanwhile.
        after = replace(before, episode=decision.after, count=max(before.count, count))
        went_on = decision.after.last_ms > decision.before.last_ms
        if before.state == CLOSED and went_on and decision.after.last_ms + before.suppress_for >= now:
            after = replace(after, state=OPEN, closed=None)
            if before.deliveries:
                after = replace(after, deliveries=outbox.reopened(after.deliveries, self._routes, after.subject, now))
        if before.inhibited_by is not None:
            if not went_on or self._quiet.inhibitors([after]):
                return after
            return replace(after, inhibited_by=None, deliveries=outbox.opened(self._routes, after.subject, now))
        if before.silence is not None:
            if not went_on:
                return after
            silence = self._quiet.silence(after, now)
            if silence is not None:
                return replace(after, silence=silence)
            told = outbox.escalated(after.deliveries, self._routes, after.subject, now)
            opened = outbox.opened(self._routes, after.subject, now)
            return replace(after, silence=None, deliveries=told if after.deliveries else opened)
        gathering = before.membership is not None and before.membership.id is None
        if gathering and now - decision.after.last_ms <= self._limits.page_max_age_ms:
            return replace(after, membership=None, deliveries=outbox.opened(self._routes, after.subject, now))
        if after.severity.rank > before.severity.rank:
            return replace(after, deliveries=outbox.escalated(after.deliveries, self._routes, after.subject, now))
        return after
