"""A server that answers drop by drop, for ever."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator


@contextlib.contextmanager
def dripping(
    begin: bytes, drop: bytes, context: ssl.SSLContext | None = None, *, speaks_first: bool = False
) -> Iterator[int]:
    """Answer one request drop by drop until the client hangs up; it must."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            with contextlib.suppress(OSError), plain:
                connection = plain if context is None else context.wrap_socket(plain, server_side=True)
                with connection:
                    if not speaks_first:
                        connection.recv(65_536)
                    connection.sendall(begin)
                    while True:
                        connection.sendall(drop)
                        time.sleep(0.01)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive()
