"""Encoding in two steps: what must happen in the call, and what may happen before the first disk byte.

The first step, in the calling thread, makes the event independent of its arguments, which may change afterwards.
Where they are plain values, as nearly always, it serialises them as they are; where they are objects, which
only their own thread may read, it redacts what stands under sensitive names, shapes and serialises. The second,
in the writer thread, does for the plain ones what is left of that, then scans the bytes of a whole group at once
for secrets within values (a card number in a message) and redacts them: a fraction of what it would cost in each
call, and not in the caller's time.

Invariants: nothing but the second step's result leaves this process's memory; what fails in it leaves as a
skeleton; both ways of the first step lead to the same document; one home gives one pseudonym for one value of a
field, whichever process replaces it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from pipeline.clock import SystemClock
from pipeline.events import values
from pipeline.events.closer_look import closer_look, suspects
from pipeline.events.describe import level_of
from pipeline.events.document import Shaper
from pipeline.events.encoded import Encoded, body_of, index_of
from pipeline.events.pseudonyms import Pseudonyms
from pipeline.events.quick import SHORT_BYTES, QuickShaper
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import skeleton
from pipeline.settings import Settings
from pipeline.shipping.home import Keys, load_keys

if TYPE_CHECKING:
    from pipeline.geoip import Place

_POLITE = 4
_POLITE_SHAPING = 16
_AS_GIVEN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
_CONTAINERS = frozenset({dict, list})
_PLAIN_KINDS = frozenset({str, int, float, bool, dict, list})


class Snapshot(NamedTuple):
    """A plain event as it was given, not yet redacted: its `body` may go nowhere but to the second step."""

    body: bytes
    event_id: str
    level: str
    received_ms: int


class TwoSteps:
    """Encodes live events as `settings` say; safe to share between threads.

    Reads the home's keys only where fields are pseudonymised; raises `ConfigurationError` where that is asked
    for and they cannot be read or made, or there is no such field.
    """

    def __init__(self, settings: Settings) -> None:
        self._shaper = Shaper(
            settings.siemlite_retention,
            frozenset(settings.siemlite_measure),
            pseudonyms_of(settings, lambda: load_keys(settings.keys_folder)),
            locator(settings),
        )
        self.redactor = Redactor(settings.siemlite_redact_keys)
        self._quick = QuickShaper(self.redactor, self._shaper)

    def first(self, raw: dict[str, Any], event_id: str, now_ms: int) -> Encoded | Snapshot:
        """Return the event `raw` as bytes that its arguments cannot change any more; not yet to be written.

        Raises whatever a hostile value may bring about.
        """
        snapshot = _snapshot(raw, event_id, now_ms)
        return self._shaped(raw, event_id, now_ms) if snapshot is None else snapshot

    def _shaped(self, raw: dict[str, Any], event_id: str, now_ms: int) -> Encoded:
        document = self._shaper.shape(self.redactor.keys(raw), event_id, now_ms, live=True)
        return Encoded(index_of(document.instant), event_id, document.level, body_of(document.body))

    def remains(self, raw: Mapping[str, object], event_id: str, now_ms: int, error: Exception) -> Encoded:
        """Return a skeleton of the event `raw`, whose first step failed with `error`: that it happened, and when."""
        kept: dict[str, dict[str, str]] = {}
        for name in ("event.code", "event.action", "log.level", "service.name"):
            value = raw.get(name)
            if type(value) is str:
                root, _, leaf = name.partition(".")
                kept.setdefault(root, {})[leaf] = value.encode("ascii", "replace").decode("ascii")
        instant = values.instant_of(now_ms)
        body = skeleton(kept, event_id, instant.text, f"encode: {type(error).__name__}")
        return Encoded(index_of(instant), event_id, kept.get("log", {}).get("level", "warn"), body_of(body))

    def second(self, events: Sequence[Encoded | Snapshot], pause: Callable[[], None] | None = None) -> list[Encoded]:
        """Return `events` without secrets under sensitive names or in values; never raises.

        `pause` is called now and then, so that other threads may run.
        """
        found: list[Encoded] = []
        for turn, event in enumerate(events, 1):
            found.append(self._opened(event) if type(event) is Snapshot else event)  # type: ignore[arg-type]
            if pause is not None and turn % _POLITE_SHAPING == 0:
                pause()
        for turn, position in enumerate(suspects(self.redactor, found)):
            found[position] = closer_look(self.redactor, found[position])
            if pause is not None and turn % _POLITE == _POLITE - 1:
                pause()
        return found

    def _opened(self, event: Snapshot) -> Encoded:
        """Return a snapshot as the long way of the first step gives it."""
        body, event_id, _, received_ms = event
        raw = orjson.loads(body)
        try:
            document = None
            if len(body) < SHORT_BYTES:
                document = self._quick.shape(raw, event_id, received_ms, live=True)
            if document is None:
                return self._shaped(raw, event_id, received_ms)
            return Encoded(index_of(document.instant), event_id, document.level, body_of(document.body))
        except Exception as error:  # noqa: BLE001 - fails closed, and the event still counts
            return self.remains(raw, event_id, received_ms, error)

    def both(self, raw: dict[str, Any], event_id: str, now_ms: int) -> Encoded:
        """Return the event `raw` ready to be written."""
        return self.second([self.first(raw, event_id, now_ms)])[0]


def _snapshot(raw: dict[str, Any], event_id: str, now_ms: int) -> Snapshot | None:
    """Return `raw` as given, or `None` where that would lose what the redactor goes by.

    JSON has no tuples, whose two items can be a name and its secret, and no numbers that are none; the serialiser
    refuses nearly all else that is not plain.
    """
    level = raw.get("log.level")
    if type(level) is not str:
        return None
    try:
        body = orjson.dumps(raw, option=_AS_GIVEN)
        if b"null" in body or (b"[" in body and not _is_plain(raw)):
            return None
    except (TypeError, RuntimeError):  # not plain, or changed by another thread while it was being looked at
        return None
    return Snapshot(body, event_id, level_of(level), now_ms)


def _is_plain(tree: dict[str, Any] | list[Any]) -> bool:
    """Return whether nothing stands anywhere in `tree`, which the serialiser has accepted, but what JSON has."""
    items = list(tree.values()) if type(tree) is dict else list(tree)
    kinds = set(map(type, items))
    if not kinds <= _PLAIN_KINDS:
        return False
    return kinds.isdisjoint(_CONTAINERS) or all(_is_plain(item) for item in items if type(item) in _CONTAINERS)


def locator(settings: Settings) -> "Callable[[str], Place | None] | None":
    """Return what knows where addresses are; None where no file was named."""
    if not settings.siemlite_geoip:
        return None
    from pipeline.geoip import geoip

    return geoip(tuple(Path(name) for name in settings.siemlite_geoip), SystemClock()).locate


def pseudonyms_of(settings: Settings, keys: Callable[[], Keys]) -> Pseudonyms | None:
    """Return the pseudonyms that `settings` ask for, with `keys` where that is any; raises `ConfigurationError`."""
    if not settings.siemlite_pseudonymise:
        return None
    key = keys().pseudonym

    def hashed(field_name: str, value: str) -> str:
        digest = hmac.new(key, f"{field_name}\n{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "p-" + base64.urlsafe_b64encode(digest.digest()[:18]).decode("ascii")

    return Pseudonyms.of(settings.siemlite_pseudonymise, hashed)
