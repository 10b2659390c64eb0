"""What the logger itself has to say, through the standard library's logger `pipeline.logger`.

Invariants: a trouble is told when it begins and when it ends, not each time it is met; no text contains an
event's content; telling never raises.
"""

import logging
from contextlib import suppress
from typing import Any


class _Telling(logging.LoggerAdapter[logging.Logger]):
    """Raises nothing: a handler may fail, and the standard library's last resort does where `sys.stderr` is closed."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        with suppress(Exception):
            super().log(level, msg, *args, stacklevel=2, **kwargs)  # the place is that of whoever tells


LOG = _Telling(logging.getLogger("pipeline.logger"))


class Notices:
    """The troubles that last; used by one thread at a time."""

    def __init__(self) -> None:
        self._lasting: set[str] = set()

    def trouble(self, kind: str, text: str) -> None:
        """Tell of a trouble of this `kind` unless one lasts already."""
        if kind not in self._lasting:
            self._lasting.add(kind)
            LOG.error("%s", text)

    def over(self, kind: str, text: str) -> None:
        """Tell that the trouble of this `kind` is over, if there was one."""
        if kind in self._lasting:
            self._lasting.discard(kind)
            LOG.warning("%s", text)
