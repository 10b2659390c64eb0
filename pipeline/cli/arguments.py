"""Reading what people type: instants and spans of time."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone

from pipeline.errors import ConfigurationError
from pipeline.events.values import instant
from pipeline.settings import duration_ms
from pipeline.sources.syslog import Listen
from pipeline.sources.tls import tls_context


def instant_argument(name: str, text: str) -> int:
    """Return the milliseconds since the epoch that `text` names; `name` is the option's."""
    found = instant(text.strip())
    if found is None:
        raise ConfigurationError(f"{name} {text!r} is no instant; write 2026-11-24, or 2026-11-24T08:00:00Z")
    return found.ms


def span_argument(from_: str, to: str) -> tuple[int, int]:
    """Return the span `[from, to)` in milliseconds since the epoch."""
    span = instant_argument("--from", from_), instant_argument("--to", to)
    _refuse_nothing_between(("--from", from_, span[0]), ("--to", to, span[1]))
    return span


def since_until_arguments(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """Return the instants of a span that may be open at either end, in milliseconds since the epoch."""
    first = None if since is None else instant_argument("--since", since)
    last = None if until is None else instant_argument("--until", until)
    if first is not None and last is not None:
        _refuse_nothing_between(("--since", since, first), ("--until", until, last))
    return first, last


def _refuse_nothing_between(first: tuple[str, str | None, int], last: tuple[str, str | None, int]) -> None:
    if first[2] >= last[2]:
        raise ConfigurationError(f"{first[0]} {first[1]} is not before {last[0]} {last[1]}; nothing lies between")


def timezone_argument(name: str | None, *, live: bool = False) -> tzinfo:
    """Return the timezone called `name`.

    Without a name it is UTC, and this machine's own for `live` lines of syslog, which are in the local time of who
    writes them.
    """
    if name is None:
        return _of_this_machine() if live else ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"--timezone {name!r} is not known; write a name such as Europe/Berlin") from None


def _of_this_machine() -> tzinfo:
    try:
        return get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError):  # TZ in POSIX form, as `CET-1CEST`: what it is now
        return datetime.now().astimezone().tzinfo or UTC


def listen_arguments(addresses: Sequence[str], cert: str | None, key: str | None) -> tuple[Listen, ...]:
    """Return the places that `udp://HOST:PORT`, `tcp://…` and `tls://…` name."""
    found = []
    for address in addresses:
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("udp", "tcp", "tls") or not parts.hostname or port is None:
            raise ConfigurationError(
                f"--listen {address!r} is no address; write udp://127.0.0.1:5514, tcp:// or tls://"
            )
        context = None
        if parts.scheme == "tls":
            if cert is None or key is None:
                raise ConfigurationError(f"--listen {address} needs --tls-cert and --tls-key")
            context = tls_context(Path(cert), Path(key))
        found.append(Listen(parts.scheme, parts.hostname, port, context))
    return tuple(found)


def duration_argument(name: str, text: str) -> int:
    """Return the milliseconds of a duration such as 90s, 15m, 2h or 7d; `name` is the option's."""
    try:
        found = duration_ms(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} {text!r} {error}") from None
    if not isinstance(found, int) or found < 1:
        raise ConfigurationError(f"{name} {text!r} is no time; write 90s, 15m, 2h or 7d")
    return found
