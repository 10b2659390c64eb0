"""`SecurityLogger`: one call makes a security event and returns before any disk has seen it.

Invariants: when `log` returns, the event is bytes, so that its arguments may change, and what stands under a
sensitive name is gone; secrets within values go before anything is written (see `encoding`). `log` waits for
no disk and no server unless `durable=True` asks it to, holds no lock that a signal handler could wait on, and
raises nothing but the failure of a durable event. An event is written, counted in a `LOG_GAP`, or told
through the standard logger `pipeline.logger`, never silently missing. Until the commit that follows within
about 10 ms (100 ms for the first event of a process), an event that is not durable is lost when the process is killed.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from pipeline.clock import Clock, SystemClock
from pipeline.events.catalogue import BY_CODE, EventType
from pipeline.events.fields import ALIASES
from pipeline.events.redaction.objects import is_nothing
from pipeline.logger import capture
from pipeline.logger.echo import is_echoing
from pipeline.logger.encoding import TwoSteps
from pipeline.logger.handover import RANKS, Item, Ticket
from pipeline.logger.records import dated, identified, text_of
from pipeline.logger.request import CURRENT, RequestContext
from pipeline.logger.writer import writer_for
from pipeline.settings import Settings, load_settings

_FLUSH_SECONDS = 5.0
_PLAIN = frozenset({str, int, float, bool, dict, list, type(None)})
_TEXTS = frozenset(
    {"message", "user.id", "user.name", "user.email", "session.id", "trace.id", "source.address", "event.reason"}
)
_ACCOUNT = frozenset({"user.id", "user.email", "user.name"})
_OF_ANYBODY = frozenset({"LOGIN_FAILURE", "PASSWORD_RESET_REQUEST"})
"""Events whose account is what somebody typed, whoever is logged in there."""


class SecurityLogger:
    """Logs the security events of one service. Make it once and share it; it is safe in threads and forks.

    Pickled for another process it becomes the logger of the same service there, with the settings found there.
    """

    def __init__(
        self,
        service: str,
        *,
        settings: Settings | None = None,
        durable: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Make the logger of `service`.

        `settings` default to the environment's and `.env`'s; `durable` is the default of `log`'s argument of
        that name. Opens no spool and starts no thread. Raises `ConfigurationError` for a wrong setting.
        """
        self._is_shared = settings is None and clock is None
        self.settings = settings if settings is not None else load_settings()
        self.service = str(service)
        self._durable = durable
        self.clock = clock if clock is not None else SystemClock()
        self._steps = TwoSteps(self.settings)
        self.redactor = self._steps.redactor
        self._writer = writer_for(self.settings, self.clock)
        self._writer.use(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process make the logger of the same service anew, by its own settings, which hold secrets."""
        if not self._is_shared or type(self).__init__ is not SecurityLogger.__init__:
            raise TypeError(
                "a SecurityLogger with settings, a clock or an __init__ of its own cannot be pickled; "
                "make it where it logs"
            )
        return partial(type(self), durable=self._durable), (self.service,)

    def log(
        self,
        event: EventType,
        *,
        message: str | None = None,
        user_id: object = None,
        email: str | None = None,
        ip: str | None = None,
        user_agent: str | None = None,
        trace_id: str | None = None,
        geo_location: str | Mapping[str, object] | None = None,
        reason: str | None = None,
        level: str | None = None,
        numbers: Mapping[str, float] | None = None,
        timestamp: datetime | str | float | None = None,
        durable: bool | None = None,
        **metadata: object,
    ) -> None:
        """Log `event`.

        `level` replaces the event's own; `numbers` are kept so that they can be measured; `timestamp` (default:
        now) is a `datetime` (a naive one is local time, as everywhere in Python), RFC 3339 text (without an
        offset: UTC) or seconds or milliseconds since the epoch; anything else becomes metadata. What the
        current request knows (see `bind_user` and the middleware) is filled in where an argument is missing.
        With `durable=True` the call returns when the event is on disk.

        Raises only when `durable`: `RetryableError`, and then the event is not kept (or, after 30 s without an
        answer from the disk, perhaps not).
        """
        raw = _describe(event, level)
        raw["service.name"] = self.service
        if message is not None:
            raw["message"] = message
        if user_id is not None:
            raw["user.id"] = user_id
        if email is not None:
            raw["user.email"] = email
        if ip is not None:
            raw["ip"] = ip
        if user_agent is not None:
            raw["user_agent.original"] = user_agent
        if trace_id is not None:
            raw["trace.id"] = trace_id
        if reason is not None:
            raw["event.reason"] = reason
        if geo_location is not None:
            raw["geo_location"] = geo_location
        if timestamp is not None:
            raw["@timestamp"] = dated(timestamp)
        if numbers is not None:
            raw["numbers"] = numbers
        if metadata:
            for key, value in metadata.items():
                raw.setdefault(key, value)
        request = CURRENT.get()
        if request is not None:
            _fill(raw, request)
        self._submit(raw, self._durable if durable is None else durable)

    def submit(self, fields: Mapping[str, object], event: EventType, *, level: str | None = None) -> None:
        """Log `event` with `fields` in the common application format or ECS: for adapters. Never raises."""
        if is_echoing():
            return
        raw = _describe(event, level)
        raw["service.name"] = self.service
        for key, value in fields.items():
            raw.setdefault(key, value)
        request = CURRENT.get()
        if request is not None:
            _fill(raw, request)
        self._submit(raw, durable=False)

    def flush(self, timeout: float = _FLUSH_SECONDS) -> bool:
        """Wait until all that was logged before is on disk; return whether it is, within `timeout` seconds."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = _FLUSH_SECONDS) -> bool:
        """Flush, and as the last logger of this home in the process give the spool up; return as `flush`.

        A logger that no longer exists does not count, whether it was closed or not.
        Called at the interpreter's end for you. A logger that is used again opens a new spool.
        """
        return self._writer.leave(self, timeout)

    def _submit(self, raw: dict[str, Any], durable: bool) -> None:
        line = self._writer.line()
        now_ms = self.clock.now_ms()
        event_id = line.next_id()
        try:
            for name, value in raw.items():
                if type(value) not in _PLAIN and ALIASES.get(name, name) in _TEXTS:
                    self._identify(raw, name, value)
            first = self._steps.first(raw, event_id, now_ms)
        except Exception as error:  # noqa: BLE001 - arguments may be hostile; the event still counts
            first = self._steps.remains(raw, event_id, now_ms, error)
        if capture.active:
            capture.add(self._steps.second([first])[0])
            return
        ticket = Ticket() if durable else None
        item = Item(first, RANKS.get(first.level, 0), self.service, now_ms, self._steps, ticket)
        self._writer.write(line, item)

    def _identify(self, raw: dict[str, Any], name: str, value: object) -> None:
        """Put the text of an object in its place; what is a secret by the name of its type is left to redaction."""
        if not self.redactor.is_sensitive(type(value).__name__):
            raw[name] = identified(value)


def _fill(raw: dict[str, Any], request: RequestContext) -> None:
    """Add what the request knows where the event says nothing, under whichever of a field's names.

    The request's account is left out where the event is about another one: who is logged in may try others.
    """
    said: dict[Any, Any] = {ALIASES.get(key, key): value for key, value in raw.items() if not is_nothing(value)}
    context, user = raw.get("context"), raw.get("user")
    if type(context) is dict:
        said = {ALIASES.get(key, key): value for key, value in context.items() if not is_nothing(value)} | said
    if type(user) is dict:
        said |= {f"user.{key}": value for key, value in user.items() if not is_nothing(value)}
    another = False
    if "user.id" in said:
        another = text_of(said["user.id"]) != text_of(request.user_id)  # as texts: an object's own `!=` may raise
    elif raw["event.code"] in _OF_ANYBODY:
        another = not _ACCOUNT.isdisjoint(said)
    elif raw["event.code"] == "LOGIN_SUCCESS":  # in place of whoever was logged in before
        another = _is_other_address(said.get("user.email"), request)
    for name, value in request.fields().items():
        if name not in said and not (another and name in _ACCOUNT):
            raw[name] = value


def _is_other_address(email: object, request: RequestContext) -> bool:
    """Return whether `email` is not that of the request's account, where that is known: it may be its id as well."""
    given, *known = (text_of(value).strip().lower() for value in (email, request.email, request.user_id))
    known = [address for address in known if "@" in address]
    return "@" in given and bool(known) and given not in known


def _describe(event: EventType, level: str | None) -> dict[str, Any]:
    """Return the fields that say what `event` is; those of the catalogue's own are added by the shaper."""
    kind: object = event
    if not isinstance(kind, EventType):
        # An application's mistake must not become an exception in the middle of a login.
        code = kind if isinstance(kind, str) and kind else f"INVALID_{type(kind).__name__}"
        known = BY_CODE.get(code)
        if known is None:
            return {"event.code": code, "log.level": "info" if level is None else level}
        kind = known
    fields: dict[str, Any] = {"event.code": kind.code, "log.level": kind.level if level is None else level}
    if BY_CODE.get(kind.code) is not kind:
        fields["event.action"] = kind.action
        if kind.category:
            fields["event.category"] = list(kind.category)
        if kind.type:
            fields["event.type"] = list(kind.type)
        if kind.outcome is not None:
            fields["event.outcome"] = kind.outcome
    return fields
