"""Bringing what alerts owe to the channels: claim, send, record.

Wiring: `Dispatcher(client, channels, clock, owner=…)`; the daemon calls `dispatch_due(channel)` for each
channel by a job of its own, so that one that hangs holds up no other; a command calls `dispatch_due()`.

Invariants: an entry is claimed by compare-and-set before it is sent and recorded after, so each is sent at
least once, and by one process at a time; the outcome on one channel, or of one alert, touches no other's entry; what
was sent but could not be recorded is remembered and recorded before anything else is sent, so that only a crash
between the two repeats a message; a claim of its own whose making it was not told of keeps nobody waiting, because what
it is sending or has sent it knows. A channel that fails is left alone for a while, and the entries that wait
for it are not charged with attempts.
"""

import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alerts.books import Books
from pipeline.alerts.outbox import LONGEST_WAIT_MS, Delivery, DeliveryState, due, replaced
from pipeline.alerts.record import Alert
from pipeline.alerts.search import refresh
from pipeline.clock import Clock
from pipeline.delivery.attempt import attempt
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.notice import Clean, notice_of
from pipeline.delivery.retry import Failure, RetryPolicy
from pipeline.errors import PermanentError, RetryableError
from pipeline.events.values import instant_text
from pipeline.told import Told

CLAIM_MS = 60_000
"""How long a claim keeps others away: longer than any channel takes for one message."""

_STALE_S = 5.0
"""After so long the order of what is due is asked anew, so that a slow channel's line does not keep a severe alert."""

_TRIES = 25

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    """Which entry of which alert."""

    alert_id: str
    channel: str
    action: str
    created_ms: int


class _Rest:
    """How long a channel is left alone, and after how many failures in a row."""

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0


class Dispatcher:
    """Sends what is due. Safe to use from several threads, one for each channel."""

    def __init__(
        self,
        client: Elasticsearch,
        channels: Mapping[str, Channel],
        clock: Clock,
        *,
        owner: str,
        policy: RetryPolicy | None = None,
        share: Callable[[], float] = random.random,
        clean: Clean = str,
        kibana_url: str | None = None,
        on_attempt: Sequence[Callable[[str, Failure | None], None]] = (),
    ) -> None:
        """`owner` names this dispatcher and no other; `clean` redacts texts.

        Each of `on_attempt` is told the channel and the failure, if any, of each attempt.
        """
        self._client = client
        self._books = Books(client)
        self._channels = channels
        self._clock = clock
        self._owner = owner
        self._policy = policy or RetryPolicy()
        self._share = share
        self._clean = clean
        self._kibana_url = kibana_url
        self._on_attempt = tuple(on_attempt)
        self._rests = {name: _Rest() for name in channels}
        self._busy = {name: threading.Lock() for name in channels}
        self._written_since_refresh = dict.fromkeys(channels, False)
        self._unrecorded: dict[str, dict[_Key, Delivery]] = {name: {} for name in channels}
        self._refused = defaultdict[str, Told](Told)

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels."""
        return tuple(self._channels)

    def dispatch_due(self, channel: str | None = None, stop: threading.Event | None = None) -> int:
        """Try everything that is due, on one channel or on all at once; return how many messages were taken.

        Raises `RetryableError` where Elasticsearch fails, and `PermanentError`, after all else was sent, where it
        refuses to have an alert changed.
        """
        halt = stop or threading.Event()
        if channel is not None:
            return self._round(channel, halt)
        if len(self._channels) < 2:
            return sum(self._round(name, halt) for name in self._channels)
        with ThreadPoolExecutor(len(self._channels), thread_name_prefix="dispatch") as pool:
            return sum(pool.map(lambda name: self._round(name, halt), self._channels))

    def note_what_was_sent(self) -> None:
        """Record messages that were sent while Elasticsearch was away, whoever leads now: another would repeat them."""
        for channel in self._channels:
            if self._unrecorded[channel] and self._busy[channel].acquire(blocking=False):
                try:
                    self._record_what_was_sent(channel)
                finally:
                    self._busy[channel].release()

    def give_up_unknown(self) -> int:
        """Mark as dead what is owed to channels that are not configured any more; return how many entries."""
        waited = instant_text(self._clock.now_ms() - 10 * CLAIM_MS)
        owed = [
            {"term": {"siemlite.deliveries.state": DeliveryState.PENDING.value}},
            {"range": {"siemlite.deliveries.created": {"lte": waited}}},
        ]
        query = {"bool": {"filter": owed, "must_not": {"terms": {"siemlite.deliveries.channel": list(self._channels)}}}}
        found = 0
        for alert in self._books.alerts({"nested": {"path": "siemlite.deliveries", "query": query}}):
            for delivery in alert.deliveries:
                if delivery.pending and delivery.channel not in self._channels:
                    failure = Failure(f"no channel {delivery.channel} is configured", permanent=True)
                    given_up = self._policy.failed(delivery, failure, self._clock.now_ms(), 0.0)
                    found += self._recorded(_key(alert.id, delivery), given_up)
        return found

    def _round(self, channel: str, stop: threading.Event) -> int:
        if not self._busy[channel].acquire(blocking=False):
            return 0
        try:
            return self._round_alone(channel, stop)
        finally:
            self._busy[channel].release()

    def _round_alone(self, channel: str, stop: threading.Event) -> int:
        self._record_what_was_sent(channel)
        rest = self._rests[channel]
        sent = 0
        spoilt: dict[str, PermanentError] = {}
        while not stop.is_set() and self._clock.monotonic() >= rest.until:
            if self._written_since_refresh[channel]:
                self._written_since_refresh[channel] = False
                refresh(self._client)
            taken = 0
            began = self._clock.monotonic()
            for alert in self._books.alerts(self._due_query(channel)):
                now = self._clock.monotonic()
                if stop.is_set() or now < rest.until or (taken and now - began > _STALE_S):
                    break
                if alert.id in spoilt:
                    continue
                try:
                    taken += self._deliver(alert, channel)
                except PermanentError as error:
                    spoilt[alert.id] = error
            sent += taken
            if not taken:
                break
        if spoilt:
            raise next(iter(spoilt.values()))
        return sent

    def _deliver(self, found: Alert, channel: str) -> int:
        """Send what `found` owes the channel next; return how many messages were taken: none or one."""
        claimed = self._claim(found, channel)
        if claimed is None:
            return 0
        alert, delivery, repeated = claimed
        self._written_since_refresh[channel] = True
        notice = notice_of(alert, delivery, clean=self._clean, kibana_url=self._kibana_url, repeated=repeated)
        failure = attempt(self._channels[channel], notice)
        now = self._clock.now_ms()
        rest = self._rests[channel]
        if failure is None:
            rest.failures = 0
            after = self._policy.sent(delivery, now)
        else:
            after = self._policy.failed(delivery, failure, now, self._share())
            if not failure.permanent:
                rest.failures += 1
                pause = self._policy.delay_s(rest.failures, self._share(), failure.retry_after_s)
                rest.until = self._clock.monotonic() + pause
            level = logging.ERROR if after.state is DeliveryState.DEAD else logging.WARNING
            _log.log(level, "%s did not take alert %s: %s", channel, alert.id, failure.reason)
        key = _key(alert.id, delivery)
        self._unrecorded[channel][key] = after
        for told in self._on_attempt:
            told(channel, failure)
        self._record(key, after, alert)
        del self._unrecorded[channel][key]
        return 0 if failure else 1

    def _claim(self, found: Alert, channel: str) -> tuple[Alert, Delivery, bool] | None:
        alert: Alert | None = found
        for _ in range(_TRIES):
            if alert is None:
                return None
            now = self._clock.now_ms()
            position = due(alert.deliveries, channel, now, self._owner)
            if position is None:
                return None
            before = alert.deliveries[position]
            if _key(alert.id, before) in self._unrecorded[channel]:
                return None
            claim = replace(before, claimed_by=self._owner, claimed_until_ms=now + CLAIM_MS)
            claimed = self._books.write(alert, replaced(alert.deliveries, position, claim))
            if claimed is not None:
                return claimed, claim, before.claimed_by not in (None, self._owner) or before.attempts > 0
            alert = self._books.alert(alert.id)
        raise RetryableError(f"the alert {found.id} keeps changing while it is claimed")

    def _record(self, key: _Key, after: Delivery, known: Alert | None = None) -> None:
        alert = known if known is not None else self._books.alert(key.alert_id)
        for _ in range(_TRIES):
            if alert is None:
                _log.warning("the alert %s is gone; its delivery is not recorded", key.alert_id)
                return
            position = next((i for i, d in enumerate(alert.deliveries) if _key(alert.id, d) == key), None)
            if position is None or alert.deliveries[position].state is DeliveryState.SENT:
                return
            if self._books.write(alert, replaced(alert.deliveries, position, after)) is not None:
                return
            alert = self._books.alert(key.alert_id)
        raise RetryableError(f"the alert {key.alert_id} keeps changing while its delivery is recorded")

    def _record_what_was_sent(self, channel: str) -> None:
        for key, after in list(self._unrecorded[channel].items()):
            if self._recorded(key, after):
                del self._unrecorded[channel][key]

    def _recorded(self, key: _Key, after: Delivery) -> bool:
        """Return whether `after` is recorded; what Elasticsearch refuses for one alert is logged."""
        try:
            self._record(key, after)
        except PermanentError as error:
            if self._refused[key.channel].fresh(str(error)):
                _log.error("%s", error)
            return False
        self._refused[key.channel].over()
        return True

    def _due_query(self, channel: str) -> dict[str, Any]:
        owed = [
            {"term": {"siemlite.deliveries.channel": channel}},
            {"term": {"siemlite.deliveries.state": DeliveryState.PENDING.value}},
        ]
        now = self._clock.now_ms()
        when = [
            {"term": {"siemlite.deliveries.attempts": 0}},
            {"range": {"siemlite.deliveries.next_attempt": {"lte": instant_text(now)}}},
            {"range": {"siemlite.deliveries.next_attempt": {"gt": instant_text(now + LONGEST_WAIT_MS)}}},
        ]
        query = {"bool": {"filter": owed, "should": when, "minimum_should_match": 1}}
        return {"nested": {"path": "siemlite.deliveries", "query": query}}


def _key(alert_id: str, delivery: Delivery) -> _Key:
    return _Key(alert_id, delivery.channel, delivery.action.value, delivery.created_ms)
