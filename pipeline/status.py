"""How shipping stands on this machine: what `siemlite status` shows."""

import threading
from dataclasses import dataclass

from pipeline.app.shipping import ShippingApp
from pipeline.errors import SiemliteError
from pipeline.events.mark import DrillMarker
from pipeline.shipping.account import Account, account
from pipeline.shipping.letters import local_letters
from pipeline.shipping.survey import Rates, SpoolStatus, changes, survey

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """Spools, the age of the event that waits longest, rates, dead letters, and gaps.

    `account` is `None` where Elasticsearch cannot be asked, and `unanswered` then says why.
    """

    spools: tuple[SpoolStatus, ...]
    oldest_seconds: float | None
    rates: Rates
    local_letters: int
    account: Account | None
    unanswered: str

    @property
    def events(self) -> int:
        """Return how many events wait."""
        return sum(spool.events for spool in self.spools)


def status_of(app: ShippingApp) -> Status:
    """Look at the spools twice, `LOOK_SECONDS` apart, and ask Elasticsearch meanwhile."""
    began = app.clock.monotonic()
    before = survey(app.spools)
    counted: Account | None = None
    unanswered = ""
    try:
        counted = account(app.client, app.clock.now_ms(), DrillMarker(app.keys.drill))
    except SiemliteError as error:
        unanswered = str(error)
    app.clock.wait(threading.Event(), max(0.0, LOOK_SECONDS - (app.clock.monotonic() - began)))
    after = survey(app.spools)
    spooled, settled = changes(before, after)
    seconds = app.clock.monotonic() - began
    oldest = min((spool.oldest_ms for spool in after if spool.oldest_ms is not None), default=None)
    return Status(
        after,
        None if oldest is None else max(0.0, (app.clock.now_ms() - oldest) / 1000),
        Rates(spooled / seconds, settled / seconds),
        sum(1 for _ in local_letters(app.settings.siemlite_home)),
        counted,
        unanswered,
    )
