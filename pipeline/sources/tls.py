"""The server's side of TLS for the syslog listener.

Invariant: nothing older than TLS 1.2; what is wrong with a file is said before anybody connects.
"""

import ssl
from pathlib import Path

from pipeline.errors import ConfigurationError


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a TLS listener needs; raises `ConfigurationError` that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        raise ConfigurationError(f"{certificate} and {key} are not a certificate and its key in PEM form") from None
    return context
