"""The leak watch: looks for secrets in a sample of what was really sent, and raises a security event for each find.

Invariants:
- It shares no code with the redactor, looks at bytes as they were sent, and never holds up who sends: what comes
  while it is busy or over its budget passes unseen.
- Its budget: at most `MOST_A_SECOND` events a second, and after an event that took long a pause that keeps it
  below `SHARE` of one processor. An event is sampled by where it lies in a request, so a long one less often.
- A `LEAK_FOUND` event names kind and place and never holds the secret, nor any part of the event where the secret
  stood. The same leak of the same service is raised once in `AGAIN_SECONDS`, of one event no more than
  `_ALARMS_AN_EVENT`, and what is new is never passed over; one that cannot be kept now (a full disk) is tried again.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.clock import Clock
from pipeline.events.leaks import Leak, find_leaks
from pipeline.events.own import LEAK_FOUND, own_event
from pipeline.shipping.bulk import event_of
from pipeline.shipping.database import FAILURES

MOST_A_SECOND = 4.0
SHARE = 0.01
AGAIN_SECONDS = 3600.0

_ACTION = b'{"create":{'
_RETRY_SECONDS = 1.0
_REMEMBERED = 1_000
_ALARMS_AN_EVENT = 10
_STOP_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """What the watch did since it started."""

    sampled: int = 0
    found: int = 0


class LeakWatch:
    """Samples what `offer` is given; `alarm` is called with the fields of a `LEAK_FOUND` event, which it keeps.

    `alarm` may raise `SiemliteError`, `OSError` or `sqlite3.Error`; it is then called again.
    """

    def __init__(
        self, alarm: Callable[[Mapping[str, object]], None], clock: Clock, *, rng: random.Random | None = None
    ) -> None:
        self._alarm = alarm
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - which event is looked at is no secret
        self._mutex = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._sample: bytes | None = None
        self._next_at = 0.0
        self._raised: dict[tuple[str, str, str, str], float] = {}
        self._owed: list[Mapping[str, object]] = []
        self._watched = Watched()
        self._thread: threading.Thread | None = None

    def offer(self, lines: bytes) -> None:
        """Take a sample of `lines`, which were sent, if the budget allows. Quick, and safe from any thread."""
        with self._mutex:
            if self._sample is not None or self._clock.monotonic() < self._next_at:
                return
            self._sample = one_event(lines, self._rng.random())
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Return whether everything that was sampled was looked at, and every alarm kept."""
        with self._mutex:
            return self._sample is None and not self._owed

    def watched(self) -> Watched:
        """Return the figures so far."""
        with self._mutex:
            return self._watched

    def start(self) -> None:
        """Look at samples in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="leak-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look at what was sampled, and end; a sample that takes long is left."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                return
        self.look()

    def look(self) -> None:
        """Look at the sample, if there is one, and raise what is owed."""
        sample = self._sample
        if sample is not None:
            began = self._clock.monotonic()
            try:
                self._examine(sample)
            except Exception:  # noqa: BLE001 - one event that cannot be read must not end the watch
                _log.exception("a sample cannot be looked at")
            took = self._clock.monotonic() - began
            with self._mutex:
                self._next_at = began + max(1 / MOST_A_SECOND, took / SHARE)
                self._sample = None
        while self._owed:
            try:
                self._alarm(self._owed[0])
            except FAILURES as error:
                _log.error("a leak was found, and the event that says so cannot be kept now: %s", error)
                return
            with self._mutex:
                del self._owed[0]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_RETRY_SECONDS if self._owed else None)
            self._wake.clear()
            self.look()

    def _examine(self, sample: bytes) -> None:
        leaks = find_leaks(sample.partition(b"\n")[2])
        alarms = self._new(sample, leaks) if leaks else []
        with self._mutex:
            self._owed.extend(alarms)
            self._watched = Watched(self._watched.sampled + 1, self._watched.found + len(leaks))

    def _new(self, sample: bytes, leaks: tuple[Leak, ...]) -> list[Mapping[str, object]]:
        """Return an alarm for each leak that was not raised of late."""
        index, event_id, document = event_of(sample)
        paths = {leak.path for leak in leaks}
        service = _word(document, "service", "name", paths)
        code = _word(document, "event", "code", paths)
        now = self._clock.monotonic()
        self._raised = {key: at for key, at in self._raised.items() if now - at < AGAIN_SECONDS}
        alarms: list[Mapping[str, object]] = []
        for leak in leaks:
            key = (service, code, leak.kind, leak.path)
            if key in self._raised:
                continue
            if len(self._raised) >= _REMEMBERED:
                del self._raised[next(iter(self._raised))]  # the oldest: what is new is told
            self._raised[key] = now
            if len(alarms) >= _ALARMS_AN_EVENT:
                continue
            alarms.append(
                {
                    **own_event(
                        LEAK_FOUND,
                        service,
                        f"an event that was sent holds what reads like a secret ({leak.kind})",
                        leak.kind,
                    ),
                    "leak": {
                        "kind": leak.kind,
                        "place": leak.path,
                        "offset": leak.offset,
                        "index": index,
                        "event": event_id,
                        "code": code,
                    },
                }
            )
        return alarms


def one_event(lines: bytes, share: float) -> bytes:
    """Return one event's two lines of `lines`: the one that begins behind `share` (0 to 1) of them, or the first."""
    start = lines.find(b"\n" + _ACTION, int(share * len(lines))) + 1
    end = lines.find(b"\n", lines.find(b"\n", start) + 1) + 1
    return lines[start:end]


def _word(document: Mapping[str, Any], outer: str, inner: str, leaking: set[str]) -> str:
    """Return a field of the event, unless the secret may be what it holds."""
    found = document.get(outer)
    value = found.get(inner) if isinstance(found, dict) else None
    here = f"{outer}.{inner}"
    if not isinstance(value, str) or any(path == outer or path.startswith(here) for path in leaking):
        return "unknown"
    return value
