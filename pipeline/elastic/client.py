"""The one way to a connection with Elasticsearch, and what its failures mean.

Invariant: every failure of a request surfaces as a `ConfigurationError`, `RetryableError` or
`PermanentError` whose text names the address without credentials; the client retries nothing by itself, so
that each caller's policy is the only one; an answer that is not Elasticsearch's is never believed, whatever its
status, and like the absence of one it passes; text that is none, such as a byte of another encoding in a reason that
was typed, is neither sent nor keeps the documents beside it from being read.
"""

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

import orjson
from elastic_transport import ConnectionError as TransportConnectionError
from elastic_transport import (
    ConnectionTimeout,
    SerializationError,
    Serializer,
    TlsError,
    Transport,
    TransportApiResponse,
    TransportError,
)
from elasticsearch import ApiError, Elasticsearch, OrjsonSerializer
from elasticsearch.serializer import NdjsonSerializer

from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.settings import Settings

_REPAIR = "check ES_USER and ES_PASSWORD, or ES_API_KEY"
RETRYABLE_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})
_BLOCKED = "blocked by: ["
"""How the reason of a 403 reads that is no matter of credentials: somebody has blocked the index, or the cluster."""

_GRANTED = re.compile(
    r"(?P<action>action \[[^\[\]]*(?:\[\w*\])*\]) is (.*granted by the )(?P<by>\w+ privileges \[[^\]]*\])"
)
"""How the reason of a 403 reads that tells which privileges would do; a write is `indices:data/write/bulk[s]` there."""

_FULL = re.compile(
    r"rejected execution of .*?\[name = (?P<name>[^,]*), queue capacity = (?P<size>\d+)(?:[^\[\]]|\[[^\[\]]*\])*\]"
)
"""How the reason of a 429 reads where a thread pool has no room."""

_OWN_WORDS = 2_000
"""How far into a reason they are looked for: further on stand values of events, which may be long and made for it."""

_NEEDED = " needs one of the "

_CONNECTIONS = 8
_ANYBODYS = frozenset({401, 403, 408, 413, 429, 500, 502, 503, 504})
"""What a gateway says in its own right, and means the same by; Elasticsearch itself says 413 without its name."""


def connect(settings: Settings, url: str | None = None, *, timeout: float = 30.0) -> Elasticsearch:
    """Return a client for `url`, or for `ELASTICSEARCH_URL`; no request is made.

    `timeout` is in seconds for one request. Raises `ConfigurationError` where the settings cannot make one.
    """
    address = url or settings.elasticsearch_url
    if address is None:
        raise ConfigurationError("ELASTICSEARCH_URL is unset and no embedded node runs; set it or run `siemlite up`")
    parts = urlsplit(address)
    if settings.es_api_key is not None and settings.es_user is not None:
        raise ConfigurationError("ES_API_KEY and ES_USER are both set; unset one of them")
    if (settings.es_user is None) != (settings.es_password is None):
        raise ConfigurationError("ES_USER and ES_PASSWORD go together; set both or neither")
    basic = None
    if settings.es_user is not None and settings.es_password is not None:
        basic = _encoded(settings.es_user, settings.es_password.get_secret_value())
    elif parts.username and settings.es_api_key is None:
        basic = _encoded(unquote(parts.username), unquote(parts.password or ""))
    api_key = None if settings.es_api_key is None else settings.es_api_key.get_secret_value()
    if api_key is not None and not api_key.isascii():
        raise ConfigurationError("ES_API_KEY holds characters that no API key has; copy it again")
    context = _tls_context(settings) if parts.scheme == "https" else None
    try:
        return Elasticsearch(
            [without_credentials(address)],
            basic_auth=basic,
            api_key=api_key,
            ssl_context=context,
            request_timeout=timeout,
            max_retries=0,
            retry_on_timeout=False,
            connections_per_node=_CONNECTIONS,
            transport_class=_Elasticsearchs,
            serializers={
                "application/json": _Json(),
                "application/vnd.elasticsearch+json": _Json(),
                "application/x-ndjson": _Lines(),
                "application/vnd.elasticsearch+x-ndjson": _Lines(),
                "text/html": _WebPage(),
            },
        )
    except ValueError as error:
        raise ConfigurationError(f"ELASTICSEARCH_URL cannot be used: {error}") from None


def _encoded(user: str, password: str) -> str:
    """Return both as Elasticsearch takes them; the client of its own would take ASCII only."""
    return b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


class ForeignAnswerError(TransportError):
    """The answer is not Elasticsearch's."""


class _Elasticsearchs(Transport):
    """Refuses answers that are not Elasticsearch's: one of a gateway's says nothing of what is there and what is not.

    Elasticsearch names itself in the header `X-Elastic-Product` of each answer since 7.14. The client of its own looks
    for that until it has seen it once.
    """

    def perform_request(self, method: str, target: str, **options: Any) -> TransportApiResponse:
        """Raise `ForeignAnswerError`, or return the answer."""
        answer = super().perform_request(method, target, **options)
        status = answer.meta.status
        named = answer.meta.headers.get("x-elastic-product") == "Elasticsearch"
        if not named and status not in _ANYBODYS:
            raise ForeignAnswerError(f"{status} {answer.body or ''}")
        wanted = list if target.startswith("/_cat/") else dict
        if 200 <= status < 300 and method != "HEAD" and not isinstance(answer.body, wanted):
            raise ForeignAnswerError(f"{status} with a body of another kind: {answer.body}")
        return answer


def part(what: str, answer: object, *path: str | int) -> Any:
    """Return what stands at `path` in an answer. Raises `RetryableError` where nothing does.

    So answers a gateway that passes headers on and bodies not, or an Elasticsearch that fails halfway.
    """
    place = answer
    for step in path:
        try:
            place = place[step]  # type: ignore[index]  # whatever cannot be asked for it does not have it
        except (KeyError, IndexError, TypeError):
            raise RetryableError(f"{what}: the answer has no {'.'.join(map(str, path))}") from None
    return place


def _as_text(tree: object) -> bytes:
    """Return `tree` as JSON; half of a character, which stands for a byte that is no UTF-8, becomes a question mark."""
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class _Json(OrjsonSerializer):
    """JSON, also where a text in it is none."""

    def json_dumps(self, data: Any) -> bytes:
        """Return `data` as JSON that everybody can read."""
        try:
            return super().json_dumps(data)
        except TypeError:
            return _as_text(data)

    def json_loads(self, data: bytes) -> Any:
        """Return what `data` says. Raises `ValueError` where it is no JSON."""
        try:
            return super().json_loads(data)
        except ValueError:
            with suppress(RecursionError):
                return orjson.loads(_as_text(json.loads(data)))
            raise


class _Lines(NdjsonSerializer):
    """Lines of JSON, also where a text in them is none."""

    def json_dumps(self, data: Any) -> bytes:
        """Return `data` as JSON that everybody can read."""
        return _as_text(data)


class _WebPage(Serializer):
    """Refuses web pages, with which a gateway answers in Elasticsearch's place, whatever the status."""

    mimetype = "text/html"

    def loads(self, data: bytes) -> NoReturn:
        """Raise `SerializationError`."""
        raise SerializationError(f"a web page of {len(data)} bytes")

    def dumps(self, data: object) -> NoReturn:
        """Raise `SerializationError`."""
        raise SerializationError(f"a {type(data).__name__} cannot be a web page")


def without_credentials(url: str) -> str:
    """Return `url` with an explicit port and without user name and password."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return urlunsplit((parts.scheme, f"{host}:{port}", parts.path, "", ""))


def _tls_context(settings: Settings) -> ssl.SSLContext:
    if settings.es_ca_certs is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(settings.es_ca_certs))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"ES_CA_CERTS {settings.es_ca_certs} cannot be read as certificates: {error}"
        ) from None


class ForbiddenError(ConfigurationError):
    """The credentials are known and do not permit what was asked (403)."""


class TooLargeError(PermanentError):
    """The request is larger than the server, or a gateway before it, takes (413); a part of it may pass."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's exceptions into siemlite's, naming `what` was being done."""
    try:
        yield
    except ApiError as error:
        raise api_failure(what, error) from error
    except TransportError as error:
        raise transport_failure(what, error) from error


def api_failure(what: str, error: ApiError) -> ConfigurationError | RetryableError | PermanentError:
    """Return the exception for an answer that is an error."""
    return failure(what, error.status_code, reason_of(error))


def transport_failure(what: str, error: TransportError) -> ConfigurationError | RetryableError:
    """Return the exception for a request without an answer.

    A certificate that is refused, and a server that speaks no TLS, need a person; a handshake that is broken off, as by
    a gateway without a node behind it, does not.
    """
    told = brief(error)
    if isinstance(error, TlsError):
        if "CERTIFICATE_VERIFY_FAILED" in told:
            return ConfigurationError(f"{what}: the TLS certificate is refused: {told}; see ES_CA_CERTS")
        if "WRONG_VERSION_NUMBER" in told:
            return ConfigurationError(f"{what}: the server speaks no TLS there; begin ELASTICSEARCH_URL with http://")
    if isinstance(error, TransportConnectionError | ConnectionTimeout):
        return RetryableError(f"{what}: Elasticsearch does not answer ({told})")
    if isinstance(error, SerializationError | ForeignAnswerError):
        return RetryableError(f"{what}: the answer is not Elasticsearch's ({told})")
    return RetryableError(f"{what}: {told}")


def failure(what: str, status: int, reason: str) -> ConfigurationError | RetryableError | PermanentError:
    """Return the exception that HTTP `status` stands for."""
    if status == 401:
        return ConfigurationError(f"{what}: Elasticsearch refuses the credentials (401); {_REPAIR}")
    if status == 403 and _BLOCKED in reason:
        return RetryableError(f"{what}: {reason} remove that block")
    if status == 403:
        lacking = f": {reason}; give their role one, or" if _NEEDED in reason else ";"
        return ForbiddenError(
            f"{what}: Elasticsearch does not permit this to these credentials (403){lacking} {_REPAIR}"
        )
    if status == 413:
        return TooLargeError(
            f"{what}: the request is larger than Elasticsearch or a gateway before it takes (413); raise that limit"
        )
    if status in RETRYABLE_STATUS:
        return RetryableError(f"{what}: {status} {reason}")
    return PermanentError(f"{what}: {status} {reason}")


def reason_of(error: ApiError) -> str:
    """Return the reason in an API error's body, on one line."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error")
        if isinstance(inner, dict):
            root = inner.get("root_cause") or [inner]
            first = root[0] if isinstance(root, list) and root and isinstance(root[0], dict) else inner
            return one_line(first.get("reason") or first.get("type") or "")
        return one_line(inner)
    return one_line(body)


def one_line(reason: object) -> str:
    """Return a reason of Elasticsearch's on one short line."""
    return plain(reason)[:300]


def plain(reason: object) -> str:
    """Return a reason of Elasticsearch's on one line: which privilege is missing, or which queue is full, for people.

    What else it says of these is the server's own business.
    """
    text = " ".join(str(reason).split())
    begin, rest = text[:_OWN_WORDS], text[_OWN_WORDS:]
    begin = _GRANTED.sub(lambda found: f"{found['action']}{_NEEDED}{found['by'][:200]}", begin)
    return _FULL.sub(lambda found: f"the queue of {found['name']}, which holds {found['size']}, is full", begin) + rest


def brief(error: BaseException) -> str:
    """Return an exception's text on one short line; of the client's own the cause, which `str` leaves out."""
    told = error.message if isinstance(error, TransportError) else str(error)
    return " ".join(str(told)[:300].split())
