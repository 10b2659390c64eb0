"""The events that every contender ships, and the files that each kind of contender reads.

Invariants: the same seed and number give the same events, byte for byte; every event has a trace id of its own,
known from its number, by which it is found again; every secret in an event carries one of the marks that
`LEAK` finds, and nothing else does; all events are of one day, so that they go to one index.

`python -m bench.workload FOLDER EVENTS SEED` writes the files, in a process of its own so that the memory it
takes is gone before anything is measured.
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson

from pipeline.clock import SystemClock
from pipeline.events.catalogue import CATALOGUE
from pipeline.events.document import Shaper
from pipeline.events.encoded import stamped
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.identity import FileIdentity
from pipeline.events.redaction import Redactor
from pipeline.events.values import instant_text

DAY = datetime(2025, 6, 2, tzinfo=UTC)
INDEX = f"security-logs-{DAY:%Y.%m.%d}"
REQUEST_BYTES = 2 * 1024 * 1024
"""About how large the pre-encoded requests are: as large as siemlite's own."""

_MARK = "Zq7vLk9w"
_CARD_PREFIX = "453912"
LEAK = re.compile(rf"{_MARK}|AKIA{_MARK.upper()}|\b{_CARD_PREFIX}\d{{10}}\b".encode())
"""Finds every secret of the workload."""

_SPACING = timedelta(hours=20)
_BATCH = 1_000
_SPOKEN_SECRET_SHARE = 0.05
_RETENTION_MS = 90 * 86_400_000

_SERVICES = ("auth-api", "billing", "storefront", "admin-console", "ledger", "files", "gateway", "reports")
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "curl/8.5.0",
)
_REASONS = ("invalid_password", "unknown_user", "locked", "expired", "not_permitted", "policy", "mfa_required")
_PLACES = ("Berlin", "Lyon", "Porto", "Osaka", "Austin", "Nairobi", "Lima", "Turku")
_METADATA = tuple(
    f"{stem}{tail}"
    for stem in ("request", "tenant", "device", "job", "order", "build", "shard", "queue", "region", "client")
    for tail in ("Id", "_name", "Kind", "_version", "Count", "_ms", "Zone", "_state")
)
_SENSITIVE = ("password", "apiKey", "access_token", "clientSecret", "newPassword", "X-Authorization", "session_id")


@dataclass(frozen=True, slots=True)
class Workload:
    """The files of one workload; the contender that reads each is said in its name's description."""

    folder: Path
    events: int
    seed: int

    @property
    def raw(self) -> Path:
        """JSON lines in the common application format, secrets included: what siemlite reads."""
        return self.folder / "events.jsonl"

    @property
    def documents(self) -> Path:
        """The documents that siemlite would index but for redaction, as JSON lines: what the peers read."""
        return self.folder / "documents.jsonl"

    @property
    def requests(self) -> Path:
        """The bytes that siemlite would send, redacted and with ids, as `_bulk` lines: what the ceiling sends."""
        return self.folder / "requests.ndjson"

    def trace_ids(self) -> Iterator[str]:
        """Yield the trace id of every event."""
        return (trace_id(self.seed, number) for number in range(self.events))


def trace_id(seed: int, number: int) -> str:
    """Return the trace id of event `number`."""
    return hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=16).hexdigest()


def events(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield `count` raw events in the order of their times."""
    rng = Random(seed)
    for number in range(count):
        yield _event(rng, number, count, seed)


def _event(rng: Random, number: int, count: int, seed: int) -> dict[str, Any]:
    kind = rng.choice(CATALOGUE)
    person = rng.randrange(50_000)
    address = f"{rng.choice((10, 81, 92, 185, 203))}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    context = details(rng, person, address)
    event: dict[str, Any] = {
        "timestamp": _time(number, count),
        "level": kind.level,
        "message": _message(rng, kind.action, person),
        "event": kind.code,
        "service": rng.choice(_SERVICES),
        "traceId": trace_id(seed, number),
    }
    return event | ({"context": context} if number % 2 else context)


def details(rng: Random, person: int, address: str) -> dict[str, Any]:
    """Return what an application says of an event of `person` from `address`."""
    found: dict[str, Any] = {"userId": f"u-{person}", "ip": address}
    for key, value in (
        ("email", f"person{person}@example.org"),
        ("userAgent", rng.choice(_AGENTS)),
        ("geoLocation", rng.choice(_PLACES)),
        ("reason", rng.choice(_REASONS)),
    ):
        if rng.random() < 0.4:
            found[key] = value
    for key in rng.sample(_METADATA, rng.randrange(1, 3)):
        found[key] = _metadata(rng, key)
    found["body"] = _body(rng, person)
    return found


def _time(number: int, count: int) -> str:
    moment = DAY + timedelta(hours=2) + _SPACING * (number / count)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _metadata(rng: Random, key: str) -> object:
    if key.endswith(("Count", "_ms")):
        return rng.randrange(100_000)
    return f"{key[:3]}-{rng.getrandbits(40):010x}"


def _message(rng: Random, action: str, person: int) -> str:
    text = f"{action} for u-{person} took {rng.randrange(2_000)} ms"
    if rng.random() >= _SPOKEN_SECRET_SHARE:
        return text
    return f"{text}; {rng.choice(_SPOKEN)(rng)}"


def _secret(rng: Random) -> str:
    return f"{_MARK}{rng.getrandbits(48):012x}"


def _card(rng: Random) -> str:
    digits = f"{_CARD_PREFIX}{rng.randrange(10**9):09d}"
    total = sum(sum(divmod(int(d) * (2 - at % 2), 10)) for at, d in enumerate(digits))
    return f"{digits}{-total % 10}"


_SPOKEN = (
    lambda rng: f"sent Authorization: Bearer {_secret(rng)}{_secret(rng)}",
    lambda rng: f"url https://svc:{_secret(rng)}@db.example.org/orders",
    lambda rng: f"retry with password={_secret(rng)}",
    lambda rng: f"card {_card(rng)} refused",
    lambda rng: f"key AKIA{_MARK.upper()}{rng.getrandbits(32):08X} is old",
    lambda rng: f"cookie eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1LTEyMyJ9.{_secret(rng)}{_secret(rng)}{_secret(rng)}",
)


def _body(rng: Random, person: int) -> dict[str, Any]:
    """Return a request's body, with secrets one and two levels down."""
    return {
        "user": f"person{person}",
        rng.choice(_SENSITIVE): _secret(rng),
        "payment": {"amount": rng.randrange(1, 10_000) / 100, "creditCard": _card(rng)},
        "items": [{"sku": f"{rng.getrandbits(24):06x}", "qty": rng.randrange(1, 9)}],
    }


def write(workload: Workload) -> None:
    """Write the files of `workload`."""
    workload.folder.mkdir(parents=True, exist_ok=True)
    shaper = Shaper(_RETENTION_MS)
    encoder = Encoder(Redactor(), shaper)
    identity = FileIdentity(b"benchmark", "benchmark")
    now = SystemClock().now_ms()
    with (
        workload.raw.open("wb") as raw,
        workload.documents.open("wb") as documents,
        workload.requests.open("wb") as requests,
    ):
        batch: list[Draft] = []
        offset = 0

        def flush() -> None:
            for draft in batch:
                body = shaper.shape(draft.event, draft.event_id, now, live=False).body
                documents.write(orjson.dumps({"event.ingested": instant_text(now), **body}) + b"\n")
            # `encode` comes second: it may use up what it is given.
            lines = b"".join(event.lines() for event in encoder.encode(batch, now, live=False))
            requests.write(stamped(lines, now))
            batch.clear()

        for event in events(workload.events, workload.seed):
            line = orjson.dumps(event)
            raw.write(line + b"\n")
            batch.append(Draft(event, identity.event_id(offset, line)))
            offset += len(line) + 1
            if len(batch) == _BATCH:
                flush()
        flush()


if __name__ == "__main__":
    write(Workload(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
