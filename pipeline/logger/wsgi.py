"""WSGI middleware: each request becomes an event, and its context is known to `security.log(…)` calls.

    app.wsgi_app = SecurityWSGIMiddleware(app.wsgi_app, security=security)              # Flask
    application = SecurityWSGIMiddleware(get_wsgi_application(), security=security)     # Django

Invariants: the response passes unchanged and is never held back; the request's context is set only while the
application's own code runs (also while its response is iterated), so that a thread never carries it into the
next request; an exception is logged and raised again; no framework is imported.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Unpack

from pipeline.logger.body import BodyCopy
from pipeline.logger.notices import LOG
from pipeline.logger.options import WatchOptions
from pipeline.logger.request import CURRENT, RequestContext
from pipeline.logger.security import SecurityLogger
from pipeline.logger.web import Exchange, Watch

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class SecurityWSGIMiddleware:
    """Wraps a WSGI application; options as of `Watch`."""

    def __init__(self, app: App, *, security: SecurityLogger, **options: Unpack[WatchOptions]) -> None:
        """See the class. Raises `ConfigurationError` for a wrong option."""
        self._app = app
        self._watch = Watch(security, **options)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        exchange = self._begin(environ)
        if exchange is None:
            return self._app(environ, start_response)
        if exchange.body is not None and "wsgi.input" in environ:
            environ["wsgi.input"] = _WatchedInput(environ["wsgi.input"], exchange.body)

        def watched_start(status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Any:
            code = status[:3]
            exchange.status = int(code) if code.isascii() and code.isdigit() else None
            return start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        try:
            with _current(exchange.context):
                response = self._app(environ, watched_start)
        except BaseException as error:
            exchange.finish(error)
            raise
        if type(response) in (list, tuple):
            exchange.finish()  # It is complete, and servers like to know its length.
            return response
        return _WatchedResponse(response, exchange)

    def _begin(self, environ: Environ) -> Exchange | None:
        try:

            def header(name: str) -> list[str]:
                key = name.upper().replace("-", "_")
                value = environ.get(key if name in ("content-type", "content-length") else f"HTTP_{key}")
                return [str(value)] if value else []

            return self._watch.begin(
                peer=environ.get("REMOTE_ADDR"),
                header=header,
                method=str(environ.get("REQUEST_METHOD", "")),
                path=_text(environ.get("SCRIPT_NAME", "")) + _text(environ.get("PATH_INFO", "")),
                query=_text(environ.get("QUERY_STRING", "")),
            )
        except Exception as error:  # noqa: BLE001 - the request is served all the same
            LOG.error("a request cannot be logged: %s", type(error).__name__)
            return None


class _WatchedResponse:
    """The application's response, which is over when it is closed, ends or fails."""

    def __init__(self, response: Iterable[bytes], exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._parts: Iterator[bytes] | None = None
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = CURRENT.set(self._exchange.context)
        try:
            if self._parts is None:
                self._parts = iter(self._response)
            return next(self._parts)
        except StopIteration:
            self._ended = True
            raise
        except BaseException as error:
            self._exchange.finish(error)
            raise
        finally:
            CURRENT.reset(token)

    def close(self) -> None:
        """Called by the server when it is done with the response, or gives up on it."""
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                with _current(self._exchange.context):
                    close()
        except BaseException as error:
            self._exchange.finish(error)
            raise
        self._exchange.finish(cancelled=not (self._ended or self._exchange.without_body))


class _WatchedInput:
    """The request's input, whose reader leaves a copy of what it read."""

    def __init__(self, inner: Any, copy: BodyCopy) -> None:
        self._inner = inner
        self._copy = copy

    def read(self, *size: Any) -> bytes:
        return self._noted(self._inner.read(*size))

    def readline(self, *size: Any) -> bytes:
        return self._noted(self._inner.readline(*size))

    def readlines(self, *hint: Any) -> list[bytes]:
        return [self._noted(line) for line in self._inner.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._inner:
            yield self._noted(line)

    def __getattr__(self, name: str) -> Any:
        """Offer what else the server's input can do; reading is noted in whichever way it is done."""
        found = getattr(self._inner, name)
        if name == "read1":
            return lambda *size: self._noted(found(*size))
        if name in ("readinto", "readinto1"):
            return lambda buffer: self._noted_in(found(buffer), buffer)
        return found

    def _noted(self, data: bytes) -> bytes:
        self._copy.feed(data)
        return data

    def _noted_in(self, size: int | None, buffer: Any) -> int | None:
        if size:
            self._copy.feed(bytes(memoryview(buffer)[:size]))
        return size


@contextmanager
def _current(context: RequestContext) -> Iterator[None]:
    token = CURRENT.set(context)
    try:
        yield
    finally:
        CURRENT.reset(token)


def _text(native: object) -> str:
    """Undo WSGI's Latin-1: return the UTF-8 text, with a replacement for what is none."""
    if not isinstance(native, str):
        return ""
    return native.encode("latin-1", "replace").decode("utf-8", "replace")
