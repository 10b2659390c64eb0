"""What a connection's failures mean: a person is needed, or it passes."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import trustme

from pipeline.elastic.client import connect, translated
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.settings import load_settings

ELASTICSEARCH = b"X-Elastic-Product: Elasticsearch\r\n"


def answer(status: bytes, body: bytes, *headers: bytes, kind: bytes = b"text/plain") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: " + kind, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n" + b"".join(headers) + b"\r\n" + body


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Let `serve` have each connection to a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with closing(connection):
                try:
                    serve(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def ask(url: str) -> None:
    settings = load_settings(env_file=None, elasticsearch_url=url)
    with closing(connect(settings, timeout=5)) as client, translated("asking"):
        client.cluster.health()


def answering(text: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(text)

    return serve


def test_a_handshake_that_is_broken_off_is_no_refused_certificate() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(2_000)

    with server(serve) as port, pytest.raises(RetryableError):
        ask(f"https://127.0.0.1:{port}")


def test_a_certificate_that_is_refused_is_named_with_its_cause() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    def serve(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with server(serve) as port, pytest.raises(ConfigurationError, match=r"CERTIFICATE_VERIFY_FAILED.*ES_CA_CERTS"):
        ask(f"https://127.0.0.1:{port}")


def test_a_server_without_tls_is_told_of_as_such() -> None:
    text = answer(b"400 Bad Request", b"no")
    with server(answering(text)) as port, pytest.raises(ConfigurationError, match=r"no TLS there; begin .* http://"):
        ask(f"https://127.0.0.1:{port}")


@pytest.mark.parametrize(
    "text",
    [
        answer(b"404 Not Found", b"404 page not found"),
        answer(b"200 OK", b"{}", kind=b"application/json"),
        answer(b"200 OK", b"ok"),
        answer(b"400 Bad Request", b"<html>"),
    ],
)
def test_an_answer_that_is_not_elasticsearchs_passes(text: bytes) -> None:
    with server(answering(text)) as port, pytest.raises(RetryableError, match="not Elasticsearch's"):
        ask(f"http://127.0.0.1:{port}")


def test_a_request_that_is_too_large_is_so_whoever_says_it() -> None:
    text = answer(b"413 Request Entity Too Large", b"")
    with server(answering(text)) as port, pytest.raises(PermanentError, match="413"):
        ask(f"http://127.0.0.1:{port}")


def test_a_refused_connection_is_told_with_its_cause() -> None:
    with server(lambda _: None) as port:
        pass
    with pytest.raises(RetryableError, match="refused"):
        ask(f"http://127.0.0.1:{port}")


def test_name_and_password_in_the_url_are_those_that_it_stands_for() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(answer(b"200 OK", b"{}", ELASTICSEARCH, kind=b"application/json"))

    with server(serve) as port:
        ask(f"http://el%40stic:p%40ss%2Fword@127.0.0.1:{port}")
    assert base64.b64encode(b"el@stic:p@ss/word") in seen[0]
