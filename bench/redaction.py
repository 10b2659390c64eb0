"""What redaction costs: microseconds of CPU an event, for each of its steps.

    python -m bench.redaction [--profile STEP]

The events are those of the common format (about 500 bytes, unique values, a nested body with two secrets) and
variants that need more work. Figures are CPU time of the thread, best of several rounds, so that they can be
compared on a busy machine; `--profile` shows where the time of one step goes.
"""

import argparse
import cProfile
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import orjson

from pipeline.events.document import Shaper
from pipeline.events.encoded import INGESTED
from pipeline.events.identity import WriterIdentity
from pipeline.events.leaks import find_leaks
from pipeline.events.redaction import Redactor

EVENTS = 2_000
ROUNDS = 7
NOW = 1_795_485_600_000
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"

Step = tuple[str, str, Callable[[], object]]


def typical(number: int, rng: random.Random) -> dict[str, Any]:
    """Return an event as applications log it, with two secrets in its body."""
    return {
        "timestamp": f"2026-11-24T02:00:00.{number % 1000:03}Z",
        "level": "warn",
        "message": f"Login failed for user-{number}",
        "event": "LOGIN_FAILURE",
        "service": "auth-api",
        "traceId": f"{rng.getrandbits(128):032x}",
        "userId": f"u-{number}",
        "email": f"user{number}@example.org",
        "ip": f"203.0.{number // 250 % 250}.{number % 250}",
        "userAgent": _AGENT,
        "reason": "invalid_password",
        "body": {
            "username": f"bob{number}",
            "password": f"hunter-{number}",
            "remember": True,
            "apiToken": f"{rng.getrandbits(64):x}",
            "attempt": number % 7,
            "ratio": 0.5,
        },
    }


def with_url(number: int, rng: random.Random) -> dict[str, Any]:
    """Return an event with an address and a harmless query string, as middleware logs them."""
    url = {"url.full": f"https://example.org:8443/items/{number}?page=2&sort=asc", "referrer": "https://example.org/a"}
    return typical(number, rng) | url


def with_secret(number: int, rng: random.Random) -> dict[str, Any]:
    """Return an event with a secret in a value."""
    return typical(number, rng) | {"query": f"user=bob&token={rng.getrandbits(64):x}&page=2"}


def with_json(number: int, rng: random.Random) -> dict[str, Any]:
    """Return an event with a secret in JSON in a text."""
    return typical(number, rng) | {
        "raw": orjson.dumps({"user": "bob", "password": f"{rng.getrandbits(64):x}"}).decode()
    }


def encoded(events: list[dict[str, Any]], redactor: Redactor) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the documents of `events` after their keys were redacted, as trees and as bytes."""
    names = WriterIdentity(b"benchmarking")
    shaper = Shaper(90 * 86_400_000)
    trees = [
        shaper.shape(redactor.keys(event), names.event_id(at), NOW, live=True).body for at, event in enumerate(events)
    ]
    return trees, [INGESTED + orjson.dumps(tree)[1:] for tree in trees]


def each(work: Callable[[Any], object], inputs: Sequence[Any]) -> None:
    """Do `work` on each of `inputs`."""
    for one in inputs:
        work(one)


def steps() -> Iterator[Step]:
    """Yield what is measured: a name, what one round handles, and the round."""
    redactor = Redactor()
    for kind in (typical, with_url, with_secret, with_json):
        rng = random.Random(1)
        events = [kind(number, rng) for number in range(EVENTS)]
        trees, bodies = encoded(events, redactor)
        name = kind.__name__.replace("_", " ")
        size = sum(map(len, bodies)) // EVENTS
        flagged = len(redactor.suspects(bodies))
        note = f"{size} bytes, {100 * flagged / EVENTS:.1f}% suspected"
        yield f"keys, {name}", note, partial(each, redactor.keys, events)
        yield f"suspects, {name}", note, partial(redactor.suspects, bodies)
        yield f"values, {name}", note, partial(each, redactor.values, trees)
        if kind is typical:
            yield "orjson.loads, to compare", note, partial(each, orjson.loads, bodies)
            yield "orjson.dumps, to compare", note, partial(each, orjson.dumps, trees)
            yield "leak detector", note, partial(each, find_leaks, bodies[: EVENTS // 20])
    lines = [
        f"Dec 10 06:55:46 LabSZ sshd[24200]: Failed password for root from 203.0.113.{at % 250} port {at} ssh2"
        for at in range(EVENTS)
    ]
    yield "text, line of an authentication log", "90 bytes", partial(each, redactor.text, lines)


def cost(work: Callable[[], object]) -> float:
    """Return the microseconds an event that the best of several rounds of `work` took."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.thread_time()
        work()
        best = min(best, time.thread_time() - begun)
    return best / EVENTS * 1e6


def main() -> None:
    """Print the figures, or the profile of one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", metavar="STEP", help="profile the steps whose name begins so")
    asked = parser.parse_args().profile
    for name, note, work in steps():
        if asked is None:
            scale = 20 if name == "leak detector" else 1
            print(f"{name:40} {cost(work) * scale:9.2f} µs   ({note})")
        elif name.startswith(asked):
            print(name)
            cProfile.runctx("work()", globals(), {"work": work}, sort="tottime")


if __name__ == "__main__":
    main()
