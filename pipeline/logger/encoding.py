"""The encoder that the settings call for: the same for what an application logs and for what is read.

Invariant: one home gives one pseudonym for one value of a field, whichever process replaces it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable

from pipeline.events.document import Shaper
from pipeline.events.encoder import Encoder
from pipeline.events.redaction import Redactor
from pipeline.settings import Settings
from pipeline.shipping.home import load_keys


def pseudonymiser(key: bytes) -> Callable[[str, str], str]:
    """Return the function from a field's name and its value to the keyed hash that takes its place."""

    def pseudonym(field_name: str, value: str) -> str:
        digest = hmac.new(key, f"{field_name}\n{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "p-" + base64.urlsafe_b64encode(digest.digest()[:18]).decode("ascii")

    return pseudonym


def encoder_of(settings: Settings) -> Encoder:
    """Return an encoder for live events; reads the home's keys only where fields are pseudonymised.

    Raises `ConfigurationError` where that is asked for and the keys cannot be read or made.
    """
    pseudonym = None
    if settings.siemlite_pseudonymise:
        pseudonym = pseudonymiser(load_keys(settings.keys_folder).pseudonym)
    shaper = Shaper(
        settings.siemlite_retention,
        frozenset(settings.siemlite_measure),
        settings.siemlite_pseudonymise,
        pseudonym,
    )
    return Encoder(Redactor(settings.siemlite_redact_keys), shaper)
