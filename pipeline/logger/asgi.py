"""ASGI middleware: each request becomes an event, and its context is known to `security.log(…)` calls.

    app.add_middleware(SecurityASGIMiddleware, security=security)          # Starlette, FastAPI
    application = SecurityASGIMiddleware(get_asgi_application(), security=security)   # Django

Invariants: messages pass unchanged and in order, and are never held back (streaming, websockets), but for the one
that says that the application has ended, which waits until its last events are on disk: some servers end by a signal
then, and no exit function runs; an exception is logged and raised again; a request is logged when the last of its
response was handed over, whatever the application does after that; no framework is imported, and no loop is taken
for asyncio's.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Unpack

from pipeline.logger.notices import LOG
from pipeline.logger.options import WatchOptions
from pipeline.logger.request import CURRENT
from pipeline.logger.security import SecurityLogger
from pipeline.logger.web import Exchange, Watch

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class SecurityASGIMiddleware:
    """Wraps an ASGI 3 application; options as of `Watch`. A websocket is given its context and not logged."""

    def __init__(self, app: App, *, security: SecurityLogger, **options: Unpack[WatchOptions]) -> None:
        """See the class. Raises `ConfigurationError` for a wrong option."""
        self._app = app
        self._security = security
        self._watch = Watch(security, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        exchange = self._begin(scope)
        if exchange is None:
            await self._app(scope, receive, send)
            return
        token = CURRENT.set(exchange.context)
        try:
            if scope["type"] == "http":
                await self._serve(exchange, scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            with suppress(ValueError):  # It is closed in another context than it began in, and that one has ended.
                CURRENT.reset(token)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take part in the application's life, in its place where it does not, such as Django's."""
        asked = answered = False

        async def watched_receive() -> Message:
            nonlocal asked
            message = await receive()
            asked = True
            return message

        async def watched_send(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self._flush()
            await send(message)

        try:
            await self._app(scope, watched_receive, watched_send)
        except Exception as error:
            if answered:
                raise
            LOG.debug("the application takes no part in the lifespan protocol: %s", type(error).__name__)
        if answered:
            return
        if not asked:
            await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        gone = False

        async def watched_send(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                exchange.status = message["status"]
            await send(message)
            if kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body")):
                exchange.finish(cancelled=gone)

        async def watched_receive() -> Message:
            nonlocal gone
            message = await receive()
            if message["type"] == "http.disconnect":
                gone = True
            elif exchange.body is not None and message["type"] == "http.request":
                exchange.body.feed(message.get("body", b""))
            return message

        try:
            await self._app(scope, watched_receive, watched_send)
        except BaseException as error:
            exchange.finish(error, cancelled=gone or _is_called_off(error))
            raise
        exchange.finish(cancelled=gone or exchange.status is not None)

    async def _flush(self) -> None:
        """Wait until all that was logged is on disk."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._security.flush()  # Trio's loop, or no library's: it ends now, and this takes milliseconds.
        else:
            await asyncio.to_thread(self._security.flush)

    def _begin(self, scope: Scope) -> Exchange | None:
        if scope["type"] not in ("http", "websocket"):
            return None
        try:
            client = scope.get("client")
            headers = scope.get("headers") or ()

            def header(name: str) -> list[str]:
                wanted = name.encode("ascii")
                return [value.decode("latin-1") for key, value in headers if key.lower() == wanted]

            return self._watch.begin(
                peer=client[0] if client else None,
                header=header,
                method=str(scope.get("method", "")),
                path=str(scope.get("path", "")),
                query=bytes(scope.get("query_string") or b"").decode("utf-8", "replace"),
            )
        except Exception as error:  # noqa: BLE001 - the request is served all the same
            LOG.error("a request cannot be logged: %s", type(error).__name__)
            return None


def _is_called_off(error: BaseException) -> bool:
    """Return whether the server ended the request, by whichever library's word for it, and nothing else failed."""
    trio = sys.modules.get("trio")
    words = (asyncio.CancelledError, GeneratorExit, *((trio.Cancelled,) if trio is not None else ()))
    if isinstance(error, BaseExceptionGroup):
        return error.split(words)[1] is None
    return isinstance(error, words)
