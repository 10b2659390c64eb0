"""The exceptions of siemlite: a small tree that says what a caller can do about it.

Invariant: every error that a user can cause or cure is a `SiemliteError` whose text is one line
that names the thing and the repair. Anything else that surfaces is a defect.
"""


class SiemliteError(Exception):
    """Base of all errors that siemlite raises on purpose."""


class ConfigurationError(SiemliteError):
    """A setting, file or argument is wrong. Only its author can cure it; commands exit 2."""


class RetryableError(SiemliteError):
    """What failed may succeed when tried again, unchanged: a time-out, a refused connection, 429, 503."""


class PermanentError(SiemliteError):
    """What failed will fail again, however often it is tried: a refused document, a 400."""
