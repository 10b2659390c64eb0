"""One request and its response as a security event: what the ASGI and the WSGI middleware share.

Invariants: a request is logged once, when its response is complete or has failed; an unfinished one says
so; nothing here can fail the request. A query is redacted parameter by parameter, as the application decodes
it; one that holds no secret stays as it was.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from pipeline.clock import Clock
from pipeline.events.catalogue import EventType
from pipeline.events.redaction import MARKER, Redactor
from pipeline.logger.body import BodyCopy
from pipeline.logger.notices import LOG
from pipeline.logger.proxies import X_FORWARDED_FOR, TrustedProxies, trace_id_of
from pipeline.logger.records import exception_fields
from pipeline.logger.request import RequestContext
from pipeline.logger.security import SecurityLogger

HTTP_REQUEST = EventType("HTTP_REQUEST", "info", ("web",), ("access",))
"""An HTTP request; its outcome is `success` below status 400, else `failure`, and `unknown` without a status."""

_BODY_BYTES = 16 * 1024
_NS = 1_000_000_000
_DECODINGS = 2


class Watch:
    """What both kinds of middleware are configured with.

    `trusted_proxies` defaults to `SIEMLITE_TRUSTED_PROXIES`; `forwarded_header` is the one header that they
    set; `body` keeps redacted JSON and form bodies up to `body_bytes`; requests to a path in `exclude` (a
    health check) are served but not logged. Either may be a single text as well.
    """

    def __init__(
        self,
        security: SecurityLogger,
        *,
        trusted_proxies: Iterable[str] | None = None,
        forwarded_header: str = X_FORWARDED_FOR,
        body: bool = False,
        body_bytes: int = _BODY_BYTES,
        exclude: Collection[str] = (),
    ) -> None:
        trusted = security.settings.siemlite_trusted_proxies if trusted_proxies is None else trusted_proxies
        self.security = security
        self.proxies = TrustedProxies(trusted, forwarded_header)
        self._redactor = security.redactor
        self._body_bytes = body_bytes if body else None
        self._exclude = frozenset((exclude,) if isinstance(exclude, str) else exclude)

    def begin(
        self, *, peer: str | None, header: Callable[[str], list[str]], method: str, path: str, query: str
    ) -> "Exchange":
        """Return the exchange that begins now; `header` gives the lines of a header by its lower-case name."""
        context = RequestContext(
            ip=self.proxies.client(peer, header(self.proxies.header)),
            user_agent=_first(header("user-agent")),
            trace_id=trace_id_of(_first(header("traceparent"))),
        )
        return Exchange(
            self.security,
            context,
            method,
            path,
            query,
            self._redactor,
            logged=path in self._exclude,
            body=None if self._body_bytes is None else BodyCopy(self._body_bytes),
            content_type=_first(header("content-type")) or "",
            content_length=_first(header("content-length")) or "",
        )


@dataclass(slots=True)
class Exchange:
    """A request that is being served."""

    security: SecurityLogger
    context: RequestContext
    method: str
    path: str
    query: str
    redactor: Redactor
    logged: bool
    body: BodyCopy | None
    content_type: str
    content_length: str
    status: int | None = None
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._clock.monotonic()

    @property
    def _clock(self) -> Clock:
        return self.security.clock

    @property
    def without_body(self) -> bool:
        """Whether a response such as this has no body that a server would read to its end."""
        return self.method == "HEAD" or self.status in (204, 304)

    def finish(self, error: BaseException | None = None, *, cancelled: bool = False) -> None:
        """Log the exchange, once; `cancelled` where its client or server gave up on it."""
        if self.logged:
            return
        self.logged = True
        try:
            duration = int((self._clock.monotonic() - self._began) * _NS)
            crashed = error is not None and not cancelled
            self.security.submit(
                self._fields(duration, error, cancelled), HTTP_REQUEST, level="error" if crashed else None
            )
        except Exception as fault:  # noqa: BLE001 - the response matters more than its event
            LOG.error("a request could not be logged: %s", type(fault).__name__)

    def _fields(self, duration: int, error: BaseException | None, cancelled: bool) -> dict[str, Any]:
        status = self.status
        if status is None and error is not None and not cancelled:
            status = 500  # What every server answers for an application that raises before it responds.
        fields: dict[str, Any] = {
            "http.request.method": self.method,
            "url.path": self.path,
            "event.duration": duration,
            "event.outcome": _outcome(status, error, cancelled),
            **self.context.fields(),
        }
        if self.query:
            fields["url.query"] = redacted_query(self.query, self.redactor)
        if status is not None:
            fields["http.response.status_code"] = status
        if cancelled:
            fields["event.reason"] = "cancelled"
        elif error is not None:
            fields.update(exception_fields(error))
        if self.body is not None:
            fields.update(self.body.fields(self.content_type, self.content_length))
        return fields


def redacted_query(query: str, redactor: Redactor) -> str:
    """Return `query` with the whole value of each parameter that holds a secret replaced.

    A name or value that was encoded again, as within an address to go on to, is decoded twice.
    """
    parameters = query.split("&")
    for at, parameter in enumerate(parameters):
        name, mark, value = parameter.partition("=")
        if value and any(map(redactor.is_sensitive, _decoded(name))):
            parameters[at] = f"{name}={MARKER}"
        elif any(redactor.text(text) != text for text in _decoded(value if mark else name)[1:]):
            parameters[at] = f"{name}={MARKER}" if mark else MARKER
    return "&".join(parameters)


def _decoded(raw: str) -> list[str]:
    """Return `raw`, and what it is when decoded once and twice, where that makes a difference."""
    found = [raw]
    while len(found) <= _DECODINGS and ("%" in found[-1] or "+" in found[-1]):
        found.append(unquote_plus(found[-1]))
    return found


def _outcome(status: int | None, error: BaseException | None, cancelled: bool) -> str:
    if cancelled or (status is None and error is None):
        return "unknown"
    return "failure" if error is not None or (status is not None and status >= 400) else "success"


def _first(lines: list[str]) -> str | None:
    return lines[0] if lines else None
