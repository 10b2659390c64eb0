"""Private keys that were logged line by line: rsyslog, journald and any file part a message of several lines.

Each line is an event of its own, and only the first names what follows. Invariants: what reads like a line of the
key's body is hidden for as many lines as a key may have, or up to its end; nothing else is changed, whoever else
writes to the same log meanwhile.
"""

import re
from collections.abc import Iterable

from pipeline.events.redaction import MARKER
from pipeline.sources.formats.format import Event

BEGIN = b"-----BEGIN "
_BEGINS = "PRIVATE KEY-----"
_END = "-----END "
_LINES_MOST = 200
_BODY = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}|[A-Za-z0-9+/]{1,76}={1,2}")


class KeyBlocks:
    """Looks at the events of one source, in their order."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0
        """Lines that may still be of a key."""

    def hide(self, events: Iterable[Event]) -> None:
        """Hide each message that is a line within a key; to be asked while some are `left`, and where one begins."""
        for event in events:
            message = event.get("message")
            if not isinstance(message, str):
                continue
            text = message.strip()
            if text.endswith(_BEGINS):
                self.left = _LINES_MOST if BEGIN.decode() in text and _END not in text else 0
            elif not self.left:
                continue
            elif _END in text:
                self.left = 0
            else:
                self.left -= 1
                if _BODY.fullmatch(text.strip('", \\n')) is not None:
                    event["message"] = MARKER
