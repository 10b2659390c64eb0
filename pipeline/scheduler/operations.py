"""The daemon's own failures, brought to people by the channels that still work.

Each check names the troubles that it sees at present. A trouble that lasts is raised, one that stays away is
cleared; both go through the local outbox. Invariants: a channel's trouble is never told through that channel;
a trouble that comes and goes within its patience disturbs nobody; what is told passes the redactor. Where the outbox
itself cannot be used, a full disk or a damaged file, troubles are told once without it, and that is one of them.
"""

import hashlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.alerts.outbox import Action, Routes, Subject
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.notice import Clean, Notice
from pipeline.delivery.retry import Failure, RetryPolicy
from pipeline.detection.timeline import Severity
from pipeline.errors import RetryableError
from pipeline.events.values import instant_text, printable
from pipeline.scheduler.local_outbox import LocalOutbox

CLEAR_S = 30.0
"""How long a trouble must stay away to be over."""

_CLAIM_MS = 60_000
_ROUTED_AS = "siemlite_operations"
_CONSOLE = "console"
_OUTBOX = "outbox"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now: raised once it lasts for `patience_s`; `channel` is the one that fails, if any."""

    name: str
    title: str
    text: str
    guide: str
    severity: Severity = Severity.HIGH
    patience_s: float = 60.0
    channel: str | None = None


Check = Callable[[], Sequence[Trouble]]


class Operations:
    """Watches for troubles and tells people. `look` and `send` are called by one thread each."""

    def __init__(
        self,
        outbox: LocalOutbox,
        channels: Mapping[str, Channel],
        routes: Routes,
        clock: Clock,
        checks: Sequence[Check],
        *,
        host: str,
        clean: Clean = str,
        policy: RetryPolicy | None = None,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._routes = routes
        self._clock = clock
        self._checks = tuple(checks)
        self._host = host
        self._clean = clean
        self._policy = policy or RetryPolicy()
        self._share = share
        self._since: dict[str, float] = {}
        self._last_seen: dict[str, float] = {}
        self._told_without: dict[str, Notice] = {}
        self._started = clock.monotonic()

    def look(self) -> None:
        """Raise what lasts and clear what is over. Raises `RetryableError` where the outbox cannot be used."""
        present = {trouble.name: trouble for check in self._checks for trouble in check()}
        try:
            self._take_over(present)
            self._settle(present)
        except RetryableError as error:
            self._tell_without_outbox([*present.values(), _outbox_fails(error)])
            raise

    def _settle(self, present: Mapping[str, Trouble]) -> None:
        now = self._clock.monotonic()
        raised = self._outbox.troubles()
        for name, trouble in present.items():
            self._last_seen[name] = now
            since = self._since.setdefault(name, now)
            if name not in raised and now - since >= trouble.patience_s:
                self._raise(trouble)
        for name in [name for name in self._since if name not in present and name not in raised]:
            if now - self._last_seen[name] >= CLEAR_S:
                del self._since[name]
        for name, notice in raised.items():
            if name not in present and now - self._last_seen.get(name, self._started) >= CLEAR_S:
                self._since.pop(name, None)
                self._clear(name, notice)

    def _tell_without_outbox(self, present: Sequence[Trouble]) -> None:
        """Tell of what lasts, and was not told of before, by every channel that takes it."""
        now = self._clock.monotonic()
        try:
            raised = self._outbox.troubles()
        except RetryableError:
            raised = {}
        for trouble in present:
            since = self._since.setdefault(trouble.name, now)
            self._last_seen[trouble.name] = now
            known = trouble.name in raised or trouble.name in self._told_without
            if known or now - since < trouble.patience_s:
                continue
            notice = self._notice(trouble)
            _log.error("%s: %s", trouble.title, trouble.text)
            failures = [self._attempt(channel, notice) for channel in self._chosen(trouble)]
            if not all(failures):
                self._told_without[trouble.name] = notice

    def _take_over(self, present: Mapping[str, Trouble]) -> None:
        """Give to the outbox, once it can be used again, what was told without it; it tells of their ends.

        That it could not be used is over with that. Raises `RetryableError` where it still cannot.
        """
        now = self._clock.now_ms()
        fails = self._told_without.get(_OUTBOX)
        if fails is not None:
            self._outbox.raise_(_OUTBOX, fails, (), now)
        for name, notice in list(self._told_without.items()):
            self._outbox.raise_(name, notice, (), now)
            if name not in present and name != _OUTBOX:
                self._clear(name, notice)
            del self._told_without[name]
        if fails is not None:
            self._clear(_OUTBOX, fails)

    def send(self) -> int:
        """Send what is due; return how many messages were taken."""
        taken = 0
        now = self._clock.now_ms()
        for owed in self._outbox.claim(now, now + _CLAIM_MS):
            failure = self._attempt(owed.delivery.channel, owed.notice)
            after_ms = self._clock.now_ms()
            if failure is None:
                taken += 1
                self._outbox.record(owed, self._policy.sent(owed.delivery, after_ms))
            else:
                _log.warning("%s did not take %r: %s", owed.delivery.channel, owed.notice.title, failure.reason)
                self._outbox.record(owed, self._policy.failed(owed.delivery, failure, after_ms, self._share()))
        return taken

    def _attempt(self, channel: str, notice: Notice) -> Failure | None:
        known = self._channels.get(channel)
        if known is None:
            return Failure(f"no channel {channel} is configured", permanent=True)
        try:
            known.send(notice)
        except SendError as error:
            return error.failure
        except Exception as error:  # noqa: BLE001 - a third party's channel may raise anything, secrets in its text
            return Failure(f"unforeseen: {type(error).__name__}")
        return None

    def _raise(self, trouble: Trouble) -> None:
        notice = self._notice(trouble)
        if self._outbox.raise_(trouble.name, notice, self._chosen(trouble), self._clock.now_ms()):
            _log.error("%s: %s", trouble.title, trouble.text)

    def _chosen(self, trouble: Trouble) -> list[str]:
        chosen = [name for name in self._routes.channels(_subject(trouble.severity)) if name != trouble.channel]
        return chosen or self._console()

    def _notice(self, trouble: Trouble) -> Notice:
        now = self._clock.now_ms()
        digest = hashlib.sha256(f"{self._host}\n{trouble.name}\n{now}".encode("utf-8", "surrogatepass")).hexdigest()[
            :32
        ]
        stamp = instant_text(now)
        return Notice(
            alert_id=digest,
            delivery_id=f"{digest}-open-{now}",
            action=Action.OPEN,
            severity=trouble.severity,
            title=f"siemlite: {self._text(trouble.title)}",
            summary=self._text(f"{self._host}: {trouble.text}"),
            detection_id=_ROUTED_AS,
            guide=trouble.guide,
            group=(("host.name", self._host),),
            first=stamp,
            crossing=stamp,
            last=stamp,
            state="open",
        )

    def _clear(self, name: str, raised: Notice) -> None:
        now = self._clock.now_ms()
        notice = replace(
            raised,
            delivery_id=f"{raised.alert_id}-resolve-{now}",
            action=Action.RESOLVE,
            last=instant_text(now),
            state="closed",
        )
        chosen = [
            channel
            for channel in self._routes.channels(_subject(raised.severity))
            if self._routes.understands(channel, Action.RESOLVE)
        ]
        if self._outbox.clear(name, notice, chosen, now):
            _log.warning("over: %s", raised.title)

    def _console(self) -> list[str]:
        return [_CONSOLE] if _CONSOLE in self._channels else []

    def _text(self, text: str) -> str:
        return printable(self._clean(text))


def _outbox_fails(error: RetryableError) -> Trouble:
    return Trouble(
        _OUTBOX,
        "the scheduler's own outbox cannot be used",
        str(error),
        "Its troubles are told once, without a second try, until this is mended: make room on the disk of "
        "SIEMLITE_HOME, or move the damaged file away.",
        patience_s=0.0,
    )


def _subject(severity: Severity) -> Subject:
    return Subject(_ROUTED_AS, severity)
