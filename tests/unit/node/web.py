"""A real HTTP server on loopback that gives the answers a test prepared, one after the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, status: int = 200, length: int | None = None) -> Answer:
    """Return an answer with `content`, which claims to be `length` bytes long."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(content) if length is None else length))
        request.end_headers()
        request.wfile.write(content)

    return answer


@dataclass(frozen=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Web:
    """The server's address and what it was asked."""

    def __init__(self, host: str) -> None:
        """Know the address of a server."""
        self.host = host
        self.url = f"{host}/file.zip"
        self.asked: list[Request] = []

    @property
    def requests(self) -> int:
        """How often it was asked."""
        return len(self.asked)


@contextmanager
def answering(*answers: Answer) -> Iterator[Web]:
    """Serve `answers` in turn, the last one for ever."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                turn = answers[min(web.requests, len(answers) - 1)]
                web.asked.append(Request(self.command, self.path, headers, content))
            turn(self)
            self.close_connection = True

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 (the base class looks for these names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
