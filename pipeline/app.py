"""The composition root: which object is built from which, and from which setting.

Invariant: nothing else wires, and nothing here decides: every rule lies in the room that it concerns.
"""

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from elasticsearch import Elasticsearch

from pipeline.clock import Clock, SystemClock
from pipeline.elastic import templates
from pipeline.elastic.client import connect, translated, without_credentials
from pipeline.errors import ConfigurationError, PermanentError, RetryableError
from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.mark import DrillMarker
from pipeline.events.redaction import Redactor
from pipeline.node import node_status
from pipeline.settings import Settings
from pipeline.shipping.collector import Collector
from pipeline.shipping.home import Keys, load_keys
from pipeline.shipping.letters import DeadLetters
from pipeline.shipping.shipper import Shipper
from pipeline.shipping.spools import Spools

Notify = Callable[[str], None]

_RETRY_SECONDS = 0.5


def encoder_of(settings: Settings, keys: Keys) -> Encoder:
    """Return the encoder that `settings` and this installation's `keys` call for."""

    def pseudonym(field_name: str, value: str) -> str:
        digest = hmac.new(keys.pseudonym, f"{field_name}\n{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "p-" + base64.urlsafe_b64encode(digest.digest()[:18]).decode("ascii")

    shaper = Shaper(
        settings.siemlite_retention,
        frozenset(settings.siemlite_measure),
        settings.siemlite_pseudonymise,
        pseudonym if settings.siemlite_pseudonymise else None,
    )
    return Encoder(Redactor(settings.siemlite_redact_keys), shaper, DrillMarker(keys.drill))


@dataclass
class App:
    """Everything that a command may need, built when it is first asked for.

    `notify` is told, in one line each, what people should know; `node_url` is the address of the embedded
    node where the caller started one.
    """

    settings: Settings
    notify: Notify
    clock: Clock = field(default_factory=SystemClock)
    node_url: str | None = None

    @cached_property
    def url(self) -> str:
        """The address of Elasticsearch: the setting's, or that of this home's embedded node."""
        if self.settings.elasticsearch_url is not None:
            return self.settings.elasticsearch_url
        if self.node_url is not None:
            return self.node_url
        node = node_status(self.settings.siemlite_home)
        if node is None:
            raise ConfigurationError(
                "ELASTICSEARCH_URL is unset and no embedded node runs; set it, or run `siemlite node start`"
            )
        return node.url

    @cached_property
    def client(self) -> Elasticsearch:
        """The connection with Elasticsearch."""
        return connect(self.settings, self.url)

    @cached_property
    def keys(self) -> Keys:
        """This installation's keys."""
        return load_keys(self.settings.keys_folder)

    @cached_property
    def encoder(self) -> Encoder:
        """What makes events ready for the spool."""
        return encoder_of(self.settings, self.keys)

    @cached_property
    def spools(self) -> Spools:
        """This home's spools."""
        return Spools(self.settings.spool_folder, self.settings.siemlite_spool_max_bytes)

    @cached_property
    def letters(self) -> DeadLetters:
        """Where refused events go."""
        return DeadLetters(self.client, self.settings.siemlite_home)

    def set_up(self) -> tuple[templates.Installed, ...]:
        """Install the index templates."""
        return templates.install(self.client)

    def await_server(self, stop: threading.Event) -> bool:
        """Wait until Elasticsearch answers, saying so once; return whether it does (else `stop` was set).

        Raises `ConfigurationError` where it refuses the credentials or the certificate.
        """
        waiting = False
        while not stop.is_set():
            try:
                with translated(f"Elasticsearch at {without_credentials(self.url)}"):
                    self.client.cluster.health(timeout="5s")
            except RetryableError as error:
                if not waiting:
                    self.notify(f"waiting: {error}; trying again")
                waiting = True
                self.clock.wait(stop, _RETRY_SECONDS)
                continue
            except PermanentError as error:
                raise ConfigurationError(f"ELASTICSEARCH_URL does not lead to an Elasticsearch: {error}") from None
            if waiting:
                self.notify("going on: Elasticsearch answers")
            return True
        return False

    def shipper(self) -> Shipper:
        """Return a new shipper without spools."""
        return Shipper(self.client, self.letters, self.clock, notify=self.notify)

    def collector(self, shipper: Shipper) -> Collector:
        """Return what brings this home's spools to `shipper`."""
        return Collector(self.spools, shipper, self.clock)
