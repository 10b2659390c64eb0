"""Which of the schedulers works: a lease with a term, taken by compare-and-set.

The document holds the holder's name, a term that grows with each change of holder and a counter of renewals.
Nobody compares clocks: an observer notes, by its own monotonic clock, when it first saw the present (term,
renewal), and takes over when that has not changed for `ttl_s`. Invariants:

- a term has one holder, because taking it is a compare-and-set on what was observed;
- a holder counts its own time from before it asked for a renewal, and lets go `margin_s` before an observer
  could take over, so that two lead at once only where a process was stopped for longer than that; that is
  harmless too, because alerts and checkpoints have writes of their own that cannot both succeed;
- a holder that ends in good order gives the lease back, and is replaced at the next look.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.clock import Clock
from pipeline.elastic.compare_and_set import (
    CONTROL_INDEX,
    CONTROL_TEMPLATE,
    Document,
    create,
    read,
    replace,
    require_template,
)
from pipeline.events.values import instant_text

DOCUMENT = "lease:scheduler"
TTL_S = 8.0
RENEW_S = 1.5
"""Between two looks: a dead leader is replaced within TTL_S + RENEW_S and a request, well under 15 s."""

REQUEST_S = 3.0
"""How long a request may take, so that one that hangs costs a renewal and not the lease."""

_log = logging.getLogger(__name__)


def leader(client: Elasticsearch) -> tuple[str, str] | None:
    """Return the name of the scheduler that leads and the fingerprint of its drills' key; None where none does.

    Raises `RetryableError` where Elasticsearch fails.
    """
    document = read(client, CONTROL_INDEX, DOCUMENT)
    if document is None or document.source.get("holder") is None:
        return None
    return str(document.source["holder"]), str(document.source.get("drill_key") or "")


@dataclass(frozen=True, slots=True)
class Observation:
    """What the lease looked like, and when (monotonic seconds) it first looked so."""

    term: int
    renewal: int
    since: float


class Lease:
    """One scheduler's view of the lease, and its part in it. Safe to ask from any thread."""

    def __init__(
        self,
        client: Elasticsearch,
        clock: Clock,
        holder: str,
        *,
        drill_key: str = "",
        ttl_s: float = TTL_S,
        margin_s: float = 1.0,
    ) -> None:
        """`holder` names this process and no other; `drill_key` is the fingerprint of the key that it believes."""
        self._client = client.options(request_timeout=REQUEST_S)
        self._clock = clock
        self._holder = holder
        self._drill_key = drill_key
        self._ttl_s = ttl_s
        self._margin_s = margin_s
        self._lock = threading.Lock()
        self._seen: Observation | None = None
        self._held_until: float | None = None
        self._term = 0

    @property
    def held(self) -> bool:
        """Return whether this scheduler may work now."""
        until = self._held_until
        return until is not None and self._clock.monotonic() < until

    @property
    def term(self) -> int:
        """Return the term that was last held or seen."""
        return self._term

    def keep(self) -> bool:
        """Renew the lease, or take it where nobody has renewed it for long; return whether it is held.

        Raises `ConfigurationError` where siemlite is not set up, `RetryableError` where Elasticsearch fails; then
        what was held stays held until its time is up.
        """
        with self._lock:
            before = self._clock.monotonic()
            document = read(self._client, CONTROL_INDEX, DOCUMENT)
            taken = self._take(document, before)
            self._held_until = before + self._ttl_s - self._margin_s if taken else None
            return self.held

    def release(self) -> None:
        """Give the lease back, if it is held."""
        with self._lock:
            if self._held_until is None:
                return
            self._held_until = None
            document = read(self._client, CONTROL_INDEX, DOCUMENT)
            if document is not None and self._is_ours(document):
                source = self._source(self._term, _number(document, "renewal") + 1, holder=None)
                replace(self._client, CONTROL_INDEX, DOCUMENT, document.version, source)

    def _take(self, document: Document | None, before: float) -> bool:
        """Return whether the lease is ours now."""
        if document is None:
            require_template(self._client, CONTROL_TEMPLATE)
            self._term = 1
            if create(self._client, CONTROL_INDEX, DOCUMENT, self._source(1, 0, self._holder)) is None:
                return False
            _log.info("leading: term 1")
            return True
        term, renewal = _number(document, "term"), _number(document, "renewal")
        if self._is_ours(document):
            source = self._source(term, renewal + 1, self._holder)
            self._term = term
            return replace(self._client, CONTROL_INDEX, DOCUMENT, document.version, source) is not None
        if self._seen is None or (self._seen.term, self._seen.renewal) != (term, renewal):
            self._seen = Observation(term, renewal, before)
        self._term = term
        vacant = document.source.get("holder") is None
        if not vacant and before - self._seen.since < self._ttl_s:
            return False
        source = self._source(term + 1, 0, self._holder)
        if replace(self._client, CONTROL_INDEX, DOCUMENT, document.version, source) is None:
            return False
        self._term = term + 1
        _log.info("leading: term %d%s", term + 1, "" if vacant else ", the former leader has not renewed its lease")
        return True

    def _is_ours(self, document: Document) -> bool:
        return bool(document.source.get("holder") == self._holder)

    def _source(self, term: int, renewal: int, holder: str | None) -> dict[str, Any]:
        return {
            "type": "lease",
            "holder": holder,
            "drill_key": self._drill_key,
            "term": term,
            "renewal": renewal,
            "updated": instant_text(self._clock.now_ms()),
        }


def _number(document: Document, name: str) -> int:
    value = document.source.get(name)
    return value if isinstance(value, int) else 0
