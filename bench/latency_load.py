"""The application of the latency benchmark: ordinary traffic through `SecurityLogger`, and attacks among it.

    python -m bench.latency_load TRUTH RATE SECONDS ATTACKS_PER_SECOND SEED

Traffic is paced in steps of 10 ms; each person has one address and one browser, so that nothing but the attacks
crosses a threshold, rare chance aside. An attack begins at a random moment, has an address and an account of its own,
and its events are 20 to 200 ms apart. TRUTH takes one JSON line for each attack: which detection must find it, in which
group, when in the run it crossed, and the clock before and after the call that logged its crossing event. The last
line says how many events were logged, and by how much the pace was missed at most.
"""

import heapq
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import orjson

from pipeline import SecurityEvent, SecurityLogger
from pipeline.events.catalogue import EventType

SERVICES = tuple(f"service-{number}" for number in range(8))
PEOPLE = 100_000
_STEP_S = 0.01
_FLUSH_S = 60.0
_MIX = {
    SecurityEvent.LOGIN_SUCCESS: 30,
    SecurityEvent.SENSITIVE_DATA_ACCESS: 25,
    SecurityEvent.LOGOUT: 20,
    SecurityEvent.LOGIN_FAILURE: 6,
    SecurityEvent.ACCESS_DENIED: 6,
    SecurityEvent.ADMIN_ACTION: 4,
    SecurityEvent.PASSWORD_CHANGE: 3,
    SecurityEvent.PASSWORD_RESET_REQUEST: 2,
    SecurityEvent.MFA_ENABLED: 2,
    SecurityEvent.API_KEY_CREATED: 1,
    SecurityEvent.API_KEY_REVOKED: 1,
}
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148",
    "okhttp/4.12.0",
)
_REASONS = ("invalid_password", "unknown_user", "locked", "expired")
_PLACES = ("Berlin", "Lyon", "Porto", "Osaka", "Austin", "Nairobi", "Lima", "Turku")


@dataclass(frozen=True, slots=True)
class Attack:
    """Events that must raise an alert of `detection` in the group `group` with the last of them."""

    detection: str
    group: str
    events: tuple[tuple[EventType, dict[str, Any]], ...]


def brute_force(number: int) -> Attack:
    """Five failed logins from one address."""
    address, user = _stranger(number)
    return Attack("brute_force_by_address", address, ((_FAILURE, {"ip": address, "user_id": user}),) * 5)


def guessed(number: int) -> Attack:
    """Five failed logins, and one that succeeds."""
    address, user = _stranger(number)
    who = {"ip": address, "user_id": user}
    return Attack("success_after_guessing", address, (*((_FAILURE, who),) * 5, (SecurityEvent.LOGIN_SUCCESS, who)))


def spraying(number: int) -> Attack:
    """Ten accounts, tried once each."""
    address, user = _stranger(number)
    tried = tuple((_FAILURE, {"ip": address, "user_id": f"{user}-{n}"}) for n in range(10))
    return Attack("password_spraying", address, tried)


def escalation(number: int) -> Attack:
    """A single event that is one too many."""
    address, user = _stranger(number)
    tried = ((SecurityEvent.PRIVILEGE_ESCALATION_ATTEMPT, {"ip": address, "user_id": user}),)
    return Attack("privilege_escalation_attempt", user, tried)


ATTACKS: tuple[Callable[[int], Attack], ...] = (brute_force, guessed, spraying, escalation)
_FAILURE = SecurityEvent.LOGIN_FAILURE


def _stranger(number: int) -> tuple[str, str]:
    """Return the address and account of an attack; the addresses are those set aside for benchmarks (RFC 2544)."""
    return f"198.{18 + number // 65_536 % 2}.{number // 256 % 256}.{number % 256}", f"target-{number}"


@dataclass(order=True, slots=True)
class _Due:
    """An event of an attack that is to be logged at `at` (monotonic)."""

    at: float
    number: int
    attack: Attack = field(compare=False)
    position: int = field(compare=False)


class Load:
    """Logs traffic and attacks; `truth` collects what was logged of the attacks."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._loggers = [SecurityLogger(service) for service in SERVICES]
        self._kinds = [kind for kind, weight in _MIX.items() for _ in range(weight)]
        self.logged = 0
        self.latest_s = 0.0
        self._begin = 0.0
        self.truth: list[dict[str, Any]] = []

    def run(self, rate: float, seconds: float, attacks_per_second: float) -> bool:
        """Log for `seconds`; return whether all of it is on disk at the end."""
        random = self._random
        due: list[_Due] = []
        begin = self._begin = time.monotonic()
        attacks = _moments(random, begin, seconds, attacks_per_second)
        for number, at in enumerate(attacks):
            heapq.heappush(due, _Due(at, number, random.choice(ATTACKS)(number), 0))
        steps = round(seconds / _STEP_S)
        ordinary = 0
        for step in range(1, steps + 1):
            at = begin + step * _STEP_S
            pause = at - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            else:
                self.latest_s = max(self.latest_s, -pause)
            wanted = round(step * _STEP_S * rate)
            for _ in range(wanted - ordinary):
                self._ordinary()
            ordinary = wanted
            while due and due[0].at <= time.monotonic():
                self._attack(due)
        while due:
            time.sleep(max(0.0, due[0].at - time.monotonic()))
            self._attack(due)
        return all(logger.close(_FLUSH_S) for logger in self._loggers)

    def _attack(self, due: list[_Due]) -> None:
        now = heapq.heappop(due)
        kind, fields = now.attack.events[now.position]
        logger = self._loggers[now.number % len(self._loggers)]
        before = time.time_ns() // 1_000_000
        logger.log(kind, message="attack", reason="invalid_password", **fields)
        after = time.time_ns() // 1_000_000
        self.logged += 1
        if now.position + 1 < len(now.attack.events):
            pause = self._random.uniform(0.02, 0.2)
            heapq.heappush(due, _Due(now.at + pause, now.number, now.attack, now.position + 1))
            return
        self.truth.append(
            {
                "detection": now.attack.detection,
                "group": now.attack.group,
                "at_s": round(time.monotonic() - self._begin, 3),
                "before_ms": before,
                "after_ms": after,
            }
        )

    def _ordinary(self) -> None:
        random = self._random
        kind, person = random.choice(self._kinds), random.randrange(PEOPLE)
        self._loggers[person % len(self._loggers)].log(
            kind,
            message=f"{kind.action} for u-{person} took {random.randrange(2_000)} ms",
            user_id=f"u-{person}",
            email=f"person{person}@example.org",
            ip=f"10.{person >> 16}.{person >> 8 & 255}.{person & 255}",
            user_agent=_AGENTS[person % len(_AGENTS)],
            geo_location=_PLACES[person % len(_PLACES)],
            trace_id=f"{random.getrandbits(128):032x}",
            reason=random.choice(_REASONS) if kind.outcome == "failure" else None,
            requestId=f"r-{random.getrandbits(40):010x}",
            body={"user": f"person{person}", "password": f"{random.getrandbits(64):016x}", "items": [{"qty": 1}]},
        )
        self.logged += 1


def _moments(random: Random, begin: float, seconds: float, per_second: float) -> list[float]:
    """Return random moments, as many as `per_second` makes of the time, evenly spread by chance alone."""
    return sorted(begin + random.uniform(0, seconds) for _ in range(round(seconds * per_second)))


def main(truth: str, rate: str, seconds: str, attacks_per_second: str, seed: str) -> int:
    """Log; return the exit status."""
    load = Load(int(seed))
    kept = load.run(float(rate), float(seconds), float(attacks_per_second))
    lines = [*load.truth, {"logged": load.logged, "latest_s": round(load.latest_s, 3)}]
    Path(truth).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
