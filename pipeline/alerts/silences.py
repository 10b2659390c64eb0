"""Silences: what somebody has decided not to be told of, until when and why.

Invariants: a silence has an author, a reason and an end, and at least one condition that not everything meets,
so that nothing can silence everything; one that cannot be read silences nothing; a silenced alert is recorded
with the silence on it; an expired silence is kept, as is who expired it; adding and expiring are told to `audit`,
which records them as events, before they are done, and nothing is done where that fails; where the answer to a write
was lost, what became of it is looked up, and nothing is said of it that is not known.
"""

import ipaddress
import logging
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from pipeline.alerts.outbox import required_instant
from pipeline.alerts.record import Alert, Silenced
from pipeline.clock import Clock
from pipeline.elastic.client import part, translated
from pipeline.elastic.compare_and_set import (
    CONTROL_INDEX,
    CONTROL_TEMPLATE,
    Create,
    Document,
    Outcome,
    Replace,
    Result,
    Version,
    read_many,
    require_template,
    write_many,
)
from pipeline.engine.finding import Group
from pipeline.errors import ConfigurationError, PermanentError, RetryableError, SiemliteError
from pipeline.events.values import instant_text

_log = logging.getLogger(__name__)

_PREFIX = "silence:"
_MAX = 10_000
MAX_DAYS = 3_660
"""How far away a silence's end may be: ten years, beyond which nobody remembers why."""
FRESH_S = 1.0
"""How long the silences that were read are used."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that meet all conditions are kept quiet from `created_ms` until `until_ms`.

    `detection` is an id or a pattern with `*`; `values` are fields and values of the group; `cidr` is a network
    that one of the group's addresses lies in.
    """

    id: str
    author: str
    reason: str
    created_ms: int
    until_ms: int
    detection: str | None = None
    values: Group = ()
    cidr: str | None = None
    expired_by: str | None = None

    def applies(self, detection_id: str, group: Group, now_ms: int) -> bool:
        """Return whether it keeps an alert of that detection and group quiet now."""
        if self.expired_by is not None or not self.created_ms <= now_ms < self.until_ms:
            return False
        if self.detection is not None and not fnmatchcase(detection_id, self.detection):
            return False
        if not set(self.values) <= set(group):
            return False
        return self.cidr is None or any(_within(value, self.cidr) for name, value in group if _is_place(name))


Audit = Callable[[str, Silence, str], None]
"""Records that a silence was `added` or `expired`, and by whom."""


class Silences:
    """The silences of an installation. Safe to use from several threads."""

    def __init__(self, client: Elasticsearch, clock: Clock, audit: Audit) -> None:
        self._client = client
        self._clock = clock
        self._audit = audit
        self._lock = threading.Lock()
        self._known: tuple[Silence, ...] = ()
        self._read_at: float | None = None
        self._spoilt: set[str] = set()

    def match(self, alert: Alert, now_ms: int) -> Silenced | None:
        """Return the silence that keeps `alert` quiet now, the one that lasts longest where there are several."""
        fitting = [s for s in self._current() if s.applies(alert.detection_id, alert.group, now_ms)]
        if not fitting:
            return None
        silence = max(fitting, key=lambda s: (s.until_ms, s.id))
        return Silenced(silence.id, silence.author, silence.until_ms, silence.reason)

    def add(
        self,
        *,
        author: str,
        reason: str,
        until_ms: int,
        detection: str | None = None,
        values: Group = (),
        cidr: str | None = None,
    ) -> Silence:
        """Add a silence. Raises `ConfigurationError` for one without a near end, a reason or a condition."""
        now = self._clock.now_ms()
        if until_ms <= now:
            raise ConfigurationError("the silence ends before it begins; give a later time")
        if until_ms - now > MAX_DAYS * 86_400_000:
            raise ConfigurationError(f"the silence would last more than {MAX_DAYS} days; give an earlier end")
        if not reason.strip() or not author.strip():
            raise ConfigurationError("a silence needs an author and a reason")
        try:
            network = None if cidr is None else ipaddress.ip_network(cidr)
        except ValueError as error:
            raise ConfigurationError(f"{cidr!r} is not a network such as 192.0.2.0/24: {error}") from None
        # What a pattern such as [a-z]*_* says of a name.
        named = re.sub(r"\[!?\]?[^\]]*\]|[*?_]", "", detection or "")
        if not (named or values or (network is not None and network.prefixlen > 0)):
            raise ConfigurationError(
                "a silence needs a detection, a group value or a network; nothing silences everything"
            )
        require_template(self._client, CONTROL_TEMPLATE)
        silence = Silence(secrets.token_hex(6), author, reason, now, until_ms, detection, values, cidr)
        self._audit("added", silence, author)  # First: whoever cannot leave a trace silences nothing.
        try:
            result = self._write(Create(_PREFIX + silence.id, _source(silence)))
        except RetryableError as error:
            if self._found(silence.id) is None:
                raise RetryableError(
                    f"whether the silence {silence.id} is in force is not known; see `siemlite silence list`: {error}"
                ) from error
            return silence
        if result.outcome is not Outcome.WRITTEN:
            raise PermanentError(f"Elasticsearch refuses the silence: {result.reason}")
        return silence

    def expire(self, silence_id: str, by: str) -> Silence:
        """End a silence now. Raises `SiemliteError` where there is none of that id."""
        audited = False
        for _ in range(10):
            document = read_many(self._client, CONTROL_INDEX, [_PREFIX + silence_id]).get(_PREFIX + silence_id)
            if document is None:
                raise SiemliteError(f"there is no silence {silence_id!r}; see `siemlite silence list --all`")
            silence = _silence(document)
            if silence.expired_by is not None or silence.until_ms <= self._clock.now_ms():
                return silence
            ended = replace(silence, until_ms=self._clock.now_ms(), expired_by=by)
            if not audited:
                self._audit("expired", ended, by)  # First: whoever cannot leave a trace ends nothing.
                audited = True
            try:
                result = self._write(Replace(document.id, document.version, _source(ended)))
            except RetryableError as error:
                if self._found(silence_id) == ended:
                    return ended
                raise RetryableError(
                    f"whether the silence {silence_id} has ended is not known; see `siemlite silence list`: {error}"
                ) from error
            if result.outcome is Outcome.WRITTEN:
                return ended
        raise RetryableError(f"the silence {silence_id} keeps changing; try again")

    def _write(self, write: Create | Replace) -> Result:
        self._read_at = None
        return write_many(self._client, CONTROL_INDEX, [write], refresh=True)[0]

    def _found(self, silence_id: str) -> Silence | None:
        """Return the silence as it is stored, where that can be known now."""
        try:
            document = read_many(self._client, CONTROL_INDEX, [_PREFIX + silence_id]).get(_PREFIX + silence_id)
        except RetryableError:
            return None
        return None if document is None else _silence(document)

    def listed(self, *, everything: bool = False) -> tuple[Silence, ...]:
        """Return the silences in force, or all that there ever were, the latest first."""
        found = self._search(
            {} if everything else {"range": {"silence.until": {"gt": instant_text(self._clock.now_ms())}}}
        )
        return tuple(sorted(found, key=lambda s: (-s.created_ms, s.id)))

    def _current(self) -> Sequence[Silence]:
        with self._lock:
            now = self._clock.monotonic()
            if self._read_at is None or now - self._read_at > FRESH_S:
                self._known = self.listed()
                self._read_at = now
            return self._known

    def _search(self, condition: dict[str, Any]) -> list[Silence]:
        filters = [{"term": {"type": "silence"}}, *([condition] if condition else [])]
        what = "reading the silences"
        with translated(what):
            try:
                answer = self._client.search(
                    index=CONTROL_INDEX,
                    size=_MAX,
                    query={"bool": {"filter": filters}},
                    allow_partial_search_results=False,
                    seq_no_primary_term=True,
                )
            except NotFoundError:
                return []
        if part(what, answer, "timed_out") or part(what, answer, "_shards", "failed"):
            raise RetryableError(f"{what}: the answer is incomplete")
        hits = part(what, answer, "hits", "hits")
        found = []
        for hit in hits:
            document = Document(hit["_id"], Version(hit["_seq_no"], hit["_primary_term"]), hit["_source"])
            try:
                found.append(_silence(document))
            except PermanentError as error:
                if document.id not in self._spoilt:
                    self._spoilt.add(document.id)
                    _log.warning("%s; it silences nothing", error)
        return found


def _is_place(name: str) -> bool:
    """Return whether a field may hold an address; an account that somebody calls like one is no address."""
    return not name.startswith("user.")


def _within(value: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(cidr)
    except ValueError:
        return False


def _source(silence: Silence) -> dict[str, Any]:
    return {
        "type": "silence",
        "detection": silence.detection,
        "updated": instant_text(silence.created_ms),
        "silence": {
            "author": silence.author,
            "reason": silence.reason,
            "created": instant_text(silence.created_ms),
            "until": instant_text(silence.until_ms),
            "values": [{"field": name, "value": value} for name, value in silence.values],
            "cidr": silence.cidr,
            "expired_by": silence.expired_by,
        },
    }


def _silence(document: Document) -> Silence:
    try:
        own = document.source["silence"]
        return Silence(
            id=document.id.removeprefix(_PREFIX),
            author=str(own["author"]),
            reason=str(own["reason"]),
            created_ms=required_instant(own["created"]),
            until_ms=required_instant(own["until"]),
            detection=document.source.get("detection"),
            values=tuple((str(pair["field"]), str(pair["value"])) for pair in own.get("values") or ()),
            cidr=own.get("cidr"),
            expired_by=own.get("expired_by"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(f"the document {document.id} of {CONTROL_INDEX} is no silence: {error!r}") from None
