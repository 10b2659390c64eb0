"""A real HTTP proxy before Elasticsearch that fails as networks and servers do, on demand."""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


class Kind(Enum):
    """What goes wrong with one request."""

    NOTHING = auto()
    DROP_REQUEST = auto()
    DROP_ANSWER = auto()
    RESET_AFTER = auto()
    HALF_ANSWER = auto()
    STATUS = auto()
    DELAY = auto()
    GARBAGE = auto()
    SOME = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: `status` for `STATUS` and `SOME` (every second event is answered with it, and not passed on),
    `seconds` for `DELAY`.

    413 is answered to requests of several events alone: a part of them can pass.
    """

    kind: Kind
    status: int = 0
    seconds: float = 0.0


NOTHING = Fault(Kind.NOTHING)
DROP_REQUEST = Fault(Kind.DROP_REQUEST)
DROP_ANSWER = Fault(Kind.DROP_ANSWER)
RESET_AFTER = Fault(Kind.RESET_AFTER)
HALF_ANSWER = Fault(Kind.HALF_ANSWER)
GARBAGE = Fault(Kind.GARBAGE)


class FaultProxy:
    """Forwards to `target`; requests whose path begins with `path` take their faults from `plan`, in order."""

    def __init__(self, target: str, path: str = "/_bulk") -> None:
        self.target = target
        self.path = path
        self.plan: deque[Fault] = deque()
        self.choose: Callable[[], Fault] | None = None
        self.requests: list[str] = []
        self._http = httpx.Client(base_url=target, timeout=60)
        self._mutex = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                proxy._serve(self)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _handle  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._http.close()

    def _next(self, path: str) -> Fault:
        with self._mutex:
            if not path.startswith(self.path):
                return NOTHING
            self.requests.append(path)
            if self.plan:
                return self.plan.popleft()
        return self.choose() if self.choose is not None else NOTHING

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        fault = self._next(handler.path)
        if fault.kind is Kind.DROP_REQUEST:
            _hang_up(handler)
            return
        if fault.kind is Kind.SOME:
            self._answer_some(handler, body, fault.status)
            return
        if fault.kind is Kind.STATUS and not (fault.status == 413 and body.count(b"\n") <= 2):
            _answer(handler, fault.status, b'{"error":{"reason":"by order of the test"},"status":%d}' % fault.status)
            return
        if fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        try:
            got = self._http.request(
                handler.command,
                handler.path,
                content=body,
                headers={k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection")},
            )
        except httpx.HTTPError:
            _answer(handler, 502, b'{"error":"bad gateway"}')
            return
        if fault.kind is Kind.DROP_ANSWER:
            _hang_up(handler)
        elif fault.kind is Kind.RESET_AFTER:
            _hang_up(handler, reset=True)
        elif fault.kind is Kind.HALF_ANSWER:
            _answer(handler, got.status_code, got.content, cut=len(got.content) // 2)
            _hang_up(handler)
        elif fault.kind is Kind.GARBAGE:
            _answer(handler, 200, b"<html>a login page of some gateway</html>", kind="text/html")
        else:
            _answer(handler, got.status_code, got.content, kind=got.headers.get("content-type", "application/json"))

    def _answer_some(self, handler: BaseHTTPRequestHandler, body: bytes, status: int) -> None:
        """Pass every other event on and answer the rest, the first among them, with `status`."""
        lines = body.split(b"\n")
        events = [b"%b\n%b\n" % (lines[at], lines[at + 1]) for at in range(0, len(lines) - 1, 2)]
        passed = b"".join(events[1::2])
        items: list[object] = []
        if passed:
            headers = {"content-type": "application/x-ndjson"}
            items = self._http.post(handler.path, content=passed, headers=headers).json()["items"]
        refused = {"create": {"status": status, "error": {"type": "by_order", "reason": "by order of the test"}}}
        merged = [refused if at % 2 == 0 else items[at // 2] for at in range(len(events))]
        _answer(handler, 200, json.dumps({"errors": True, "items": merged}).encode())


def _answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    *,
    kind: str = "application/json",
    cut: int | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("content-type", kind)
    handler.send_header("x-elastic-product", "Elasticsearch")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content[:cut])
        handler.wfile.flush()


def _hang_up(handler: BaseHTTPRequestHandler, *, reset: bool = False) -> None:
    if reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def fault_proxy(target: str, path: str = "/_bulk") -> Iterator[FaultProxy]:
    """Run a proxy before `target`."""
    proxy = FaultProxy(target, path)
    try:
        yield proxy
    finally:
        proxy.close()
