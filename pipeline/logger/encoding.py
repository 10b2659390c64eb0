"""Encoding in two steps: what must happen in the call, and what may happen before the first disk byte.

The first step, in the calling thread, redacts what stands under sensitive names, shapes and serialises: from
then on the event is bytes, and its arguments may change. The second, in the writer thread, scans the bytes of
a whole group at once for secrets within values (a card number in a message) and redacts them, which costs a
fraction per event of what it would in each call.

Invariants: nothing but the second step's result is written anywhere; what fails in it leaves as a skeleton;
one home gives one pseudonym for one value of a field, whichever process replaces it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.clock import SystemClock
from pipeline.events import values
from pipeline.events.document import Shaper
from pipeline.events.encoded import INGESTED, Encoded, index_of
from pipeline.events.redaction import Redactor
from pipeline.events.skeleton import skeleton
from pipeline.settings import Settings
from pipeline.shipping.home import load_keys

if TYPE_CHECKING:
    from pipeline.geoip import Place

_POLITE = 4
_HEAD = INGESTED + b'"@timestamp":"'
_INSTANT_LENGTH = 24


class TwoSteps:
    """Encodes live events as `settings` say; safe to share between threads.

    Reads the home's keys only where fields are pseudonymised; raises `ConfigurationError` where that is asked
    for and they cannot be read or made.
    """

    def __init__(self, settings: Settings) -> None:
        pseudonym = None
        if settings.siemlite_pseudonymise:
            pseudonym = pseudonymiser(load_keys(settings.keys_folder).pseudonym)
        self._shaper = Shaper(
            settings.siemlite_retention,
            frozenset(settings.siemlite_measure),
            settings.siemlite_pseudonymise,
            pseudonym,
            locator(settings),
        )
        self._redactor = Redactor(settings.siemlite_redact_keys)

    def first(self, raw: dict[str, Any], event_id: str, now_ms: int) -> Encoded:
        """Return the event `raw` as bytes in which no sensitive name has its value; not yet to be written.

        Raises whatever a hostile value may bring about.
        """
        document = self._shaper.shape(self._redactor.keys(raw), event_id, now_ms, live=True)
        return Encoded(index_of(document.instant), event_id, document.level, _dump(document.body))

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
        return Encoded(index_of(instant), event_id, kept.get("log", {}).get("level", "warn"), _dump(body))

    def second(self, events: Sequence[Encoded], pause: Callable[[], None] | None = None) -> list[Encoded]:
        """Return `events` without secrets in their values; never raises.

        `pause` is called now and then while many need a closer look, so that other threads may run.
        """
        found = list(events)
        try:
            suspects: Sequence[int] = self._redactor.suspects([event.body for event in found])
        except Exception:  # noqa: BLE001 - fails closed: all of them are looked at
            suspects = range(len(found))
        for turn, position in enumerate(suspects):
            found[position] = self._closer_look(found[position])
            if pause is not None and turn % _POLITE == _POLITE - 1:
                pause()
        return found

    def both(self, raw: dict[str, Any], event_id: str, now_ms: int) -> Encoded:
        """Return the event `raw` ready to be written."""
        return self.second([self.first(raw, event_id, now_ms)])[0]

    def _closer_look(self, event: Encoded) -> Encoded:
        document: dict[str, Any] = {}
        try:
            document = orjson.loads(b"{" + event.body[len(INGESTED) :])
            return event._replace(body=_dump(self._redactor.values(document)))
        except Exception as error:  # noqa: BLE001 - fails closed: what cannot be redacted is left out
            safe = {
                "event": {"code": document.get("event", {}).get("code")},
                "source": {"ip": document.get("source", {}).get("ip")},
            }
            instant = event.body[len(_HEAD) : len(_HEAD) + _INSTANT_LENGTH].decode()
            return event._replace(
                body=_dump(skeleton(safe, event.event_id, instant, f"redact: {type(error).__name__}"))
            )


def _dump(document: dict[str, Any]) -> bytes:
    return INGESTED + orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)[1:]


def locator(settings: Settings) -> "Callable[[str], Place | None] | None":
    """Return what knows where addresses are; None where no file was named."""
    if not settings.siemlite_geoip:
        return None
    from pipeline.geoip import geoip

    return geoip(tuple(Path(name) for name in settings.siemlite_geoip), SystemClock()).locate


def pseudonymiser(key: bytes) -> Callable[[str, str], str]:
    """Return the function from a field's name and its value to the keyed hash that takes its place."""

    def pseudonym(field_name: str, value: str) -> str:
        digest = hmac.new(key, f"{field_name}\n{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "p-" + base64.urlsafe_b64encode(digest.digest()[:18]).decode("ascii")

    return pseudonym
