"""A real HTTP server on loopback that gives the answers a test prepared, one after the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Web:
    """The server's address and how often it was asked."""

    def __init__(self, url: str) -> None:
        """Know the address of a server."""
        self.url = url
        self.requests = 0


@contextmanager
def answering(*answers: Answer) -> Iterator[Web]:
    """Serve `answers` in turn, the last one for ever."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                turn = answers[min(web.requests, len(answers) - 1)]
                web.requests += 1
            turn(self)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}/file.zip")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
