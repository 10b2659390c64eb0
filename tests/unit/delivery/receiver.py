"""A real HTTP server that keeps what it is sent and answers as a test tells it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to answer; `hang_s` seconds late, or not at all with `reset`."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    reset: bool = False


@dataclass
class Receiver:
    """The server's side as a test sees it. `answer` is asked with the number of the request, from 0."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[int], Answer] = lambda _number: Answer()
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bodies(self) -> list[Any]:
        """Return the JSON bodies in the order in which they came."""
        return [request.json for request in list(self.requests)]


@contextmanager
def receiver(
    answer: Callable[[int], Answer] | None = None, path: str = "/services/T000/B000/s3cr3tXYZ"
) -> Iterator[Receiver]:
    """Run a server on a free port of the loopback interface."""
    state = Receiver()
    if answer is not None:
        state.answer = answer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with state.lock:
                state.requests.append(Request(self.path, dict(self.headers.items()), body))
                number = len(state.requests) - 1
            said = state.answer(number)
            if said.hang is not None:
                said.hang.wait(30)
            if said.reset:
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST  # noqa: N815 - the name that the library calls

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a client that goes away is part of some tests."""

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
