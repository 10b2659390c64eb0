"""The server's side of TLS for the syslog listener.

Invariant: nothing older than TLS 1.2; what is wrong with a file is said before anybody connects.
"""

import ssl
from pathlib import Path

from pipeline.errors import ConfigurationError


def tls_context(certificate: Path, key: Path, client_authorities: Path | None = None) -> ssl.SSLContext:
    """Return what a TLS listener needs; with `client_authorities` a peer must show a certificate of theirs.

    Raises `ConfigurationError` that names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key, *([] if client_authorities is None else [client_authorities])):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError):
        raise ConfigurationError(f"{certificate} and {key} are not a certificate and its key in PEM form") from None
    if client_authorities is not None:
        try:
            context.load_verify_locations(client_authorities)
        except (ssl.SSLError, OSError):
            raise ConfigurationError(f"{client_authorities} holds no certificates in PEM form") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
