"""What a connection's failures mean: a person is needed, or it passes."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import trustme
from elasticsearch import Elasticsearch

from pipeline.alerts.search import refresh, searched
from pipeline.alerts.silences import Silences
from pipeline.elastic.client import connect, plain, translated
from pipeline.elastic.compare_and_set import Create, create, read, read_many, require_template, write_many
from pipeline.elastic.search import Search, Searcher
from pipeline.elastic.templates import compare, logs_template_ready, refuse_old
from pipeline.engine.indices import look
from pipeline.engine.indices import refresh as refresh_events
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.scheduler.ledger import ledgers
from pipeline.settings import load_settings
from tests.unit.clocks import ManualClock

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


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":NaN}', b'{"a":"\\ud800"', b'["\\ud800"]'])
def test_what_is_no_json_is_not_elasticsearchs(body: bytes) -> None:
    text = answer(b"200 OK", body, ELASTICSEARCH, kind=b"application/json")
    with server(answering(text)) as port, pytest.raises(RetryableError, match="not Elasticsearch's"):
        ask(f"http://127.0.0.1:{port}")


def in_turn(*texts: bytes) -> Callable[[socket.socket], None]:
    """Answer each connection with the next of `texts`."""
    left = list(texts)

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(left.pop(0))

    return serve


JSON = b"application/json"
WELL = answer(b"200 OK", b'{"status":"green"}', ELASTICSEARCH, kind=JSON)


def searched_alone(client: Elasticsearch) -> None:
    (found,) = Searcher(client).many([Search.of(["i"], {})])
    if isinstance(found, Exception):
        raise found


FOREIGN = {
    "an empty object": answer(b"200 OK", b"{}", kind=JSON),
    "a message": answer(b"200 OK", b'{"status":"ok"}', kind=JSON),
    "null": answer(b"200 OK", b"null", kind=JSON),
    "a text": answer(b"200 OK", b"ok"),
    "nothing": answer(b"204 No Content", b""),
    "no route": answer(b"404 Not Found", b'{"message":"no Route matched"}', kind=JSON),
    "no page": answer(b"404 Not Found", b"404 page not found"),
    "a conflict": answer(b"409 Conflict", b"{}", kind=JSON),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize(
    "request_",
    [
        lambda client: read(client, "i", "1"),
        lambda client: create(client, "i", "1", {}),
        lambda client: require_template(client, "security-control"),
        logs_template_ready,
        compare,
        refresh,
        lambda client: searched(client, size=0),
        lambda client: Silences(client, ManualClock(), lambda *_: None).listed(),
    ],
    ids=["read", "create", "template", "logs", "compare", "refresh", "search", "silences"],
)
def test_no_answer_of_a_gateways_is_believed_after_elasticsearchs_first(
    what: str, request_: Callable[[Elasticsearch], object]
) -> None:
    with server(in_turn(WELL, FOREIGN[what])) as port:
        settings = load_settings(env_file=None, elasticsearch_url=f"http://127.0.0.1:{port}")
        with closing(connect(settings, timeout=5)) as client:
            client.cluster.health()
            with pytest.raises(RetryableError, match="not Elasticsearch's"):
                request_(client)


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"timed_out":false}', b'{"_shards":{}}', b'{"docs":[{}]}', b'{"items":[{}]}', b'{"responses":[null]}'],
)
@pytest.mark.parametrize(
    "request_",
    [
        lambda client: read(client, "i", "1"),
        lambda client: read_many(client, "i", ["1"]),
        lambda client: create(client, "i", "1", {}),
        lambda client: write_many(client, "i", [Create("1", {})]),
        compare,
        refuse_old,
        lambda client: searched(client, size=0),
        lambda client: Silences(client, ManualClock(), lambda *_: None).listed(),
        lambda client: list(ledgers(client)),
        look,
        lambda client: refresh_events(client, ["security-logs-2026.01.01"]),
        searched_alone,
    ],
    ids=[
        "read", "read_many", "create", "write_many", "compare", "refuse_old", "search", "silences", "ledgers", "look",
        "refresh", "msearch",
    ],
)  # fmt: skip
def test_an_answer_in_part_is_an_error_that_passes(body: bytes, request_: Callable[[Elasticsearch], object]) -> None:
    with server(answering(answer(b"200 OK", body, ELASTICSEARCH, kind=JSON))) as port:
        settings = load_settings(env_file=None, elasticsearch_url=f"http://127.0.0.1:{port}")
        with closing(connect(settings, timeout=5)) as client, pytest.raises(RetryableError, match="answer"):
            request_(client)


def test_a_document_whose_shard_cannot_be_asked_is_not_missing() -> None:
    kinds = (b"no_shard_available_action_exception", b"index_not_found_exception")
    bodies = [b'{"docs":[{"_id":"1","error":{"type":"%b","reason":"no shard"}}]}' % kind for kind in kinds]
    with server(in_turn(*(answer(b"200 OK", body, ELASTICSEARCH, kind=JSON) for body in bodies))) as port:
        settings = load_settings(env_file=None, elasticsearch_url=f"http://127.0.0.1:{port}")
        with closing(connect(settings, timeout=5)) as client:
            with pytest.raises(RetryableError, match="no shard"):
                read_many(client, "i", ["1"])
            assert read_many(client, "i", ["1"]) == {}


def test_a_request_that_is_too_large_is_so_whoever_says_it() -> None:
    text = answer(b"413 Request Entity Too Large", b"")
    with server(answering(text)) as port, pytest.raises(PermanentError, match="413"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("action", ["indices:data/write/bulk[s]", "indices:data/write/index:op_type/index"])
def test_a_privilege_that_is_missing_is_named_without_those_who_lack_it(action: str) -> None:
    told = (
        f"action [{action}] is unauthorized for user [kim] with effective roles [a,b] on indices [i], "
        "this action is granted by the index privileges [create,index,write,all]"
    )
    assert plain(f"403 {told}") == f"403 action [{action}] needs one of the index privileges [create,index,write,all]"


def test_a_refused_connection_is_told_with_its_cause() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with pytest.raises(RetryableError, match="refused"):
            ask(f"http://127.0.0.1:{unheard.getsockname()[1]}")


def test_name_and_password_in_the_url_are_those_that_it_stands_for() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(answer(b"200 OK", b"{}", ELASTICSEARCH, kind=b"application/json"))

    with server(serve) as port:
        ask(f"http://el%40stic:p%40ss%2Fword@127.0.0.1:{port}")
    assert base64.b64encode(b"el@stic:p@ss/word") in seen[0]


def test_a_password_may_hold_any_letter_and_an_api_key_may_not() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(answer(b"200 OK", b"{}", ELASTICSEARCH, kind=b"application/json"))

    with server(serve) as port:
        url = f"http://127.0.0.1:{port}"
        settings = load_settings(env_file=None, elasticsearch_url=url, es_user="jürgen", es_password="schlüssel:€")
        with closing(connect(settings, timeout=5)) as client, translated("asking"):
            client.cluster.health()
        with pytest.raises(ConfigurationError, match="ES_API_KEY holds characters"):
            connect(load_settings(env_file=None, elasticsearch_url=url, es_api_key="ä"))
    assert base64.b64encode("jürgen:schlüssel:€".encode()) in seen[0]
