"""Telling systemd that the daemon is ready, moves and ends: the protocol of sd_notify(3).

Invariant: without `NOTIFY_SOCKET` in the environment nothing happens; a notification that cannot be sent is
worth a line in the log, once, and never an end.
"""

import logging
import os
import socket
from collections.abc import Mapping

from pipeline.told import Told

_log = logging.getLogger(__name__)


class Systemd:
    """The service manager, if one listens."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        address = given.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._told = Told()
        watchdog = given.get("WATCHDOG_USEC", "")
        mine = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(watchdog) / 1_000_000 if mine and watchdog.isascii() and watchdog.isdigit() else None

    def ready(self) -> None:
        """Say that the daemon works, or stands by."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Say that the daemon moves."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(1)
                out.sendto(state.encode(), self._address)
        except OSError as error:
            if self._told.fresh(str(error)):
                _log.warning("systemd cannot be told %s: %s", state, error)
        else:
            self._told.over()
