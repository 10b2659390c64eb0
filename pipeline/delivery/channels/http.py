"""Posting a message over HTTP, and what each answer means.

Invariants: no error text or log line holds the address's path, query or user part, where webhooks keep their
secrets, nor a secret that the server's answer repeats; redirects are not followed, because they would carry
the message, and its signature, to somebody else; an answer is read up to a bound, and the whole exchange ends by a
deadline. Each message has a connection of its own, which that deadline can end.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from pipeline.clock import Clock
from pipeline.delivery.channels.base import SendError
from pipeline.delivery.channels.deadline import EXCHANGE_S, Deadline
from pipeline.delivery.retry import Failure
from pipeline.events.values import printable

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 10.0
_ANSWER_MAX = 2_000
_EXCERPT = 120
_SECRET_MIN = 6
_TRY_AGAIN = frozenset({408, 409, 423, 425, 429})
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class _HostOnly(logging.Filter):
    """Keeps `httpx`'s own log lines from naming more of an address than its host."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(f"{a.scheme}://{a.host}/…" if isinstance(a, httpx.URL) else a for a in record.args)
        return True


logging.getLogger("httpx").addFilter(_HostOnly())


class Poster:
    """Posts to one address, whose path is secret, as are the texts in `secrets`."""

    def __init__(
        self,
        url: SecretStr,
        clock: Clock,
        *,
        secrets: tuple[SecretStr, ...] = (),
        timeout_s: float = TIMEOUT_S,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        """A request may wait `timeout_s` for each piece of the answer and take `exchange_s` as a whole."""
        self._secrets = secrets
        self._url = url
        self._clock = clock
        self._exchange_s = exchange_s
        self._client = httpx.Client(
            headers={"Connection": "close"},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            follow_redirects=False,
            mounts=dict.fromkeys(_LOOPBACK),
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post `body`; return on a 2xx answer. Raises `SendError`."""
        self._ask("POST", body, headers)

    def get(self) -> None:
        """Get the address; return on a 2xx answer. Raises `SendError`."""
        self._ask("GET", b"", {})

    def _ask(self, method: str, body: bytes, headers: Mapping[str, str]) -> None:
        with Deadline(self._exchange_s) as deadline:
            try:
                with self._client.stream(
                    method,
                    self._url.get_secret_value(),
                    content=body or None,
                    headers=dict(headers),
                    extensions={"trace": _showing_connections_to(deadline)},
                ) as response:
                    if response.is_success:
                        return
                    excerpt = self._excerpt(response)
            except (httpx.TimeoutException, TimeoutError) as error:
                raise SendError(Failure(f"no answer in time ({type(error).__name__})")) from None
            except httpx.TransportError as error:
                told = "no answer in time" if deadline.passed else self._safe(f"{type(error).__name__}: {error}")
                raise SendError(Failure(told)) from None
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
                raise SendError(
                    Failure(f"the request cannot be made ({type(error).__name__})", permanent=True)
                ) from None
        raise SendError(self._failure(response, excerpt))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failure(self, response: httpx.Response, excerpt: str) -> Failure:
        status = response.status_code
        reason = f"HTTP {status}" + (f": {excerpt}" if excerpt else "")
        permanent = status < 500 and status not in _TRY_AGAIN
        return Failure(reason, permanent, None if permanent else self._retry_after(response))

    def _excerpt(self, response: httpx.Response) -> str:
        try:
            read = self._read(response)
        except httpx.HTTPError:
            return "the answer broke off"
        return self._safe(read[:_ANSWER_MAX].decode("utf-8", "replace"))[:_EXCERPT]

    def _read(self, response: httpx.Response) -> bytes:
        """Return the beginning of an answer."""
        read = b""
        for chunk in response.iter_bytes():
            read += chunk
            if len(read) >= _ANSWER_MAX:
                break
        return read

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Return the seconds in `Retry-After` (RFC 9110, section 10.2.3): a number or a date."""
        value = response.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            date = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - self._clock.now_ms() / 1000)

    def _safe(self, text: str) -> str:
        for secret in _secrets_of(self._url, self._secrets):
            text = text.replace(secret, "[REDACTED]")
        return printable(" ".join(text.split()))


def _secrets_of(url: SecretStr, others: Sequence[SecretStr]) -> Sequence[str]:
    """Return what must not be said, the longest first: the parts of `url` but for its host, and `others`."""
    text = url.get_secret_value()
    parts = urlsplit(text)
    pieces = (text, parts.path, parts.query, parts.username or "", parts.password or "", *parts.path.split("/"))
    known = {*pieces, *(other.get_secret_value() for other in others)}
    return sorted((secret for secret in known if len(secret) >= _SECRET_MIN), key=len, reverse=True)


def _showing_connections_to(deadline: Deadline) -> Callable[[str, Mapping[str, Any]], None]:
    """Return what `httpx` tells of each step, for `deadline` to have the connection from its first byte on."""

    def trace(step: str, info: Mapping[str, Any]) -> None:
        if step.endswith((".connect_tcp.complete", ".start_tls.complete")):
            deadline.watch(info["return_value"].get_extra_info("socket"))

    return trace
