"""The daemon's own failures, brought to people by the channels that still work.

Each check names the troubles that it sees at present. A trouble that lasts is raised, one that stays away is
cleared; both go through the local outbox. Invariants: a channel's trouble is never told through that channel; a channel
that hangs holds up no other;
a trouble that comes and goes within its patience disturbs nobody; what is told passes the redactor. Where the outbox
itself cannot be used, a full disk or a damaged file, troubles are told once without it, and that is one of them.
"""

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from pipeline.alerts.outbox import Action, Routes, Subject
from pipeline.clock import Clock
from pipeline.delivery.attempt import attempt
from pipeline.delivery.channels.base import Channel
from pipeline.delivery.notice import Clean, Notice
from pipeline.delivery.retry import Failure, RetryPolicy
from pipeline.detection.timeline import Severity
from pipeline.errors import RetryableError
from pipeline.events.values import instant_text, printable
from pipeline.scheduler.daemon import Chore
from pipeline.scheduler.local_outbox import LocalOutbox, Owed

CLEAR_S = 30.0
"""How long a trouble must stay away to be over."""

LOOK_S, SEND_S, GIVE_UP_S = 5.0, 1.0, 60.0

_CLAIM_MS = 60_000
_ROUTED_AS = "siemlite_operations"
_CONSOLE = "console"
_OUTBOX = "outbox"

_T = TypeVar("_T")
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
    """Watches for troubles and tells people. `look` is called by one thread, `send` by one for each channel."""

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

    def chores(self) -> tuple[Chore, ...]:
        """Return the work, to be done at intervals: a piece for each channel."""
        return (
            Chore("look after itself", self.look, LOOK_S, by_leader=False),
            Chore("give up of itself", self.give_up_unknown, GIVE_UP_S, by_leader=False),
            *(
                Chore(f"tell of itself by {name}", partial(self.send, name), SEND_S, by_leader=False)
                for name in self._channels
            ),
        )

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
        owed: dict[str, list[tuple[str, Notice]]] = {}
        for trouble in present:
            since = self._since.setdefault(trouble.name, now)
            self._last_seen[trouble.name] = now
            known = trouble.name in raised or trouble.name in self._told_without
            if known or now - since < trouble.patience_s:
                continue
            notice = self._notice(trouble)
            _log.error("%s: %s", trouble.title, trouble.text)
            for channel in self._chosen(trouble):
                owed.setdefault(channel, []).append((trouble.name, notice))
        for taken in self._at_once(lambda channel: self._taken(channel, owed[channel]), owed):
            self._told_without.update(taken)

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

    def send(self, channel: str | None = None) -> int:
        """Send what is due, by one channel or by all at once; return how many messages were taken."""
        if channel is None:
            return sum(self._at_once(self.send, self._channels))
        now = self._clock.now_ms()
        owed = self._outbox.claim(channel, now, now + _CLAIM_MS)
        if owed is None:
            return 0
        failure = attempt(self._channels[channel], owed.notice)
        self._record(owed, failure)
        return 0 if failure else 1

    def give_up_unknown(self) -> int:
        """Mark as dead what is owed to channels that are not configured any more; return how many messages."""
        found = 0
        for channel in self._outbox.owing() - self._channels.keys():
            now = self._clock.now_ms()
            while (owed := self._outbox.claim(channel, now, now + _CLAIM_MS)) is not None:
                self._record(owed, Failure(f"no channel {channel} is configured", permanent=True))
                found += 1
        return found

    def _taken(self, channel: str, notices: Iterable[tuple[str, Notice]]) -> list[tuple[str, Notice]]:
        """Return those of `notices` that the channel took."""
        return [(name, notice) for name, notice in notices if attempt(self._channels[channel], notice) is None]

    def _record(self, owed: Owed, failure: Failure | None) -> None:
        now = self._clock.now_ms()
        if failure is None:
            self._outbox.record(owed, self._policy.sent(owed.delivery, now))
            return
        _log.warning("%s did not take %r: %s", owed.delivery.channel, owed.notice.title, failure.reason)
        self._outbox.record(owed, self._policy.failed(owed.delivery, failure, now, self._share()))

    @staticmethod
    def _at_once(tell: Callable[[str], _T], channels: Iterable[str]) -> list[_T]:
        """Call `tell` for each of the channels, each in a thread of its own; return what it returns.

        The threads keep no process alive, as an executor's would.
        """
        told = {name: Future[_T]() for name in channels}

        def work(name: str) -> None:
            try:
                told[name].set_result(tell(name))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                told[name].set_exception(error)

        for name in told:
            threading.Thread(target=work, args=(name,), name=f"tell {name}", daemon=True).start()
        return [future.result() for future in told.values()]

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
