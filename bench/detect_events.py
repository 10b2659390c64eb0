"""The events of the detection benchmark: seeded, so that every contender and every run sees the same.

They are stored as siemlite's shipper stores them: redacted, in ECS, with metadata and a nested body, about 800 bytes.

Of `TOTAL` events within one day a fifth are failed logins. Most come from addresses that fail once or twice in the
whole day; `attackers` addresses fail many times within minutes, and as many noisy ones fail as often but spread over
the day, so that a count over the day does not tell them apart.
"""

from collections.abc import Iterator
from random import Random
from secrets import token_bytes
from typing import Any

from bench.workload import details
from pipeline.events.catalogue import CATALOGUE
from pipeline.events.document import Shaper
from pipeline.events.encoded import stamped
from pipeline.events.encoder import Draft, Encoder
from pipeline.events.identity import WRITER_BYTES, WriterIdentity
from pipeline.events.redaction import Redactor
from pipeline.events.values import instant_text

DAY_MS = 86_400_000
BEGIN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""

TOTAL = 1_000_000
FAILURES = 200_000
ADDRESSES = 190_000
BURST = 8
AT_LEAST = 5
WITHIN_MS = 900_000
SEED = 20_260_101
_RETENTION_MS = 90 * DAY_MS


def events(
    attackers: int, total: int = TOTAL, begin_ms: int = BEGIN_MS, length_ms: int = DAY_MS, seed: int = 0
) -> list[dict[str, Any]]:
    """Return the events in time order, each with the fields that tell it apart."""
    random = Random(SEED + attackers + seed)
    share = total / TOTAL
    failures = round(FAILURES * share)
    addresses = round(ADDRESSES * share)
    others = [kind.code for kind in CATALOGUE if kind.code != "LOGIN_FAILURE"]
    found = []
    for attacker in range(attackers):
        start = begin_ms + random.randrange(max(1, length_ms - 900_000))
        for _ in range(BURST):
            found.append(
                _event(
                    random,
                    start + random.randrange(min(length_ms, 600_000)),
                    "LOGIN_FAILURE",
                    f"203.0.{attacker // 250}.{attacker % 250}",
                )
            )
        for number in range(BURST):
            time_ms = begin_ms + number * (length_ms // BURST) + random.randrange(length_ms // BURST // 2)
            found.append(_event(random, time_ms, "LOGIN_FAILURE", f"198.51.{attacker // 250}.{attacker % 250}"))
    while len(found) < failures:
        number = random.randrange(addresses)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        found.append(_event(random, begin_ms + random.randrange(length_ms), "LOGIN_FAILURE", address))
    while len(found) < total:
        number = random.randrange(addresses)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        found.append(_event(random, begin_ms + random.randrange(length_ms), random.choice(others), address))
    found.sort(key=lambda event: event["@timestamp"])
    return found


def _event(random: Random, time_ms: int, code: str, address: str) -> dict[str, Any]:
    return {
        "@timestamp": time_ms,
        "event.code": code,
        "source.address": address,
        "user.id": f"user-{random.randrange(20_000)}",
        "service.name": f"service-{random.randrange(8)}",
        "trace.id": f"{random.getrandbits(64):016x}",
        "message": f"{code} of a request that took {random.randrange(1000)} ms",
    }


def bulk_bodies(found: list[dict[str, Any]], size: int = 2_000) -> Iterator[bytes]:
    """Yield `_bulk` bodies that index the events in their days' indices, each call under ids of its own."""
    random = Random(len(found))
    encoder = Encoder(Redactor(), Shaper(_RETENTION_MS))
    identity = WriterIdentity(token_bytes(WRITER_BYTES))
    for start in range(0, len(found), size):
        part = found[start : start + size]
        drafts = [
            Draft(_raw(random, event), identity.event_id(start + number), short=True)
            for number, event in enumerate(part)
        ]
        now_ms = part[-1]["@timestamp"]
        lines = b"".join(event.lines() for event in encoder.encode(drafts, now_ms, live=False))
        yield stamped(lines, now_ms)


def _raw(random: Random, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as an application logs it."""
    context = details(random, int(event["user.id"].removeprefix("user-")), event["source.address"])
    return {
        **context,
        "timestamp": instant_text(event["@timestamp"]),
        "event": event["event.code"],
        "userId": event["user.id"],
        "service": event["service.name"],
        "traceId": event["trace.id"],
        "message": event["message"],
    }


def truth(found: list[dict[str, Any]], at_least: int, within_ms: int) -> dict[str, list[int]]:
    """Return the instants at which an address has `at_least` failures within the window, by looking at each event."""
    times: dict[str, list[int]] = {}
    for event in found:
        if event["event.code"] == "LOGIN_FAILURE":
            times.setdefault(event["source.address"], []).append(event["@timestamp"])
    crossed = {
        address: sorted({own[n] for n in range(at_least - 1, len(own)) if own[n] - own[n - at_least + 1] < within_ms})
        for address, own in times.items()
        if len(own) >= at_least
    }
    return {address: instants for address, instants in crossed.items() if instants}
