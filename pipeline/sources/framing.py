"""Cutting a TCP stream into syslog messages (RFC 6587): octet counting, or one message a line.

Each message tells by its first byte which it is: a digit other than 0 begins a count. Invariants: no more
than `MESSAGE_MAX` bytes and one block are held; a longer message is given by its beginning and the rest is
skipped; work is linear in the bytes fed, however small the pieces.
"""

import re
from typing import NamedTuple

MESSAGE_MAX = 64 * 1024

_COUNT = re.compile(rb"([1-9]\d{0,8}) ")
_COUNT_BYTES = 10
_ENDINGS = b"\n\0"
_END = re.compile(rb"[\n\0]")


class Frame(NamedTuple):
    """A message; `left_out` is how many bytes it lacks at its end."""

    data: bytes
    left_out: int


class Deframer:
    """Cuts one stream."""

    __slots__ = ("_buffer", "_head", "_left_out", "_searched", "_skip", "_skip_line")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._head = b""
        self._left_out = 0
        self._skip = 0
        self._skip_line = False

    @property
    def waiting(self) -> int:
        """The bytes of a message that is not complete yet."""
        return len(self._buffer) + len(self._head)

    def feed(self, block: bytes) -> list[Frame]:
        """Return the messages that `block` completes."""
        self._buffer += block
        frames: list[Frame] = []
        while self._buffer and (self._skipping(frames) if self._head else self._next(frames)):
            pass
        return frames

    def finish(self) -> Frame | None:
        """Return what is left of a message that was never completed."""
        data = self._head or bytes(self._buffer).strip(_ENDINGS)
        if not self._head and (counted := _COUNT.match(data)):
            data = data[counted.end() :]
        left_out = self._left_out
        self._buffer.clear()
        self._head, self._left_out, self._skip, self._searched = b"", 0, 0, 0
        return Frame(data, left_out) if data else None

    def _next(self, frames: list[Frame]) -> bool:
        """Take the message at the beginning of the buffer; return whether to go on."""
        buffer = self._buffer
        if not self._searched:
            if buffer[0] in _ENDINGS:
                del buffer[: len(buffer) - len(buffer.lstrip(_ENDINGS))]
            match = _COUNT.match(buffer)
            if match is not None:
                return self._counted(frames, match.end(), int(match[1]))
            if len(buffer) < _COUNT_BYTES and (not buffer or buffer.isdigit()) and not buffer.startswith(b"0"):
                return False
        end = _END.search(buffer, self._searched)
        if end is None:
            self._searched = len(buffer)
            if len(buffer) <= MESSAGE_MAX:
                return False
            self._head, self._left_out, self._skip_line = bytes(buffer[:MESSAGE_MAX]), len(buffer) - MESSAGE_MAX, True
            buffer.clear()
            self._searched = 0
            return False
        frames.append(_frame(bytes(buffer[: end.start()])))
        del buffer[: end.end()]
        self._searched = 0
        return True

    def _counted(self, frames: list[Frame], start: int, count: int) -> bool:
        buffer = self._buffer
        if len(buffer) - start >= count:
            frames.append(_frame(bytes(buffer[start : start + count])))
            del buffer[: start + count]
            return True
        if count > MESSAGE_MAX and len(buffer) - start >= MESSAGE_MAX:
            self._head = bytes(buffer[start : start + MESSAGE_MAX])
            self._skip = count - (len(buffer) - start)
            self._left_out = count - MESSAGE_MAX
            self._skip_line = False
            buffer.clear()
        return False

    def _skipping(self, frames: list[Frame]) -> bool:
        """Pass over the rest of a message that is too long; return whether to go on."""
        buffer = self._buffer
        if self._skip_line:
            end = _END.search(buffer)
            if end is None:
                self._left_out += len(buffer)
                buffer.clear()
                return False
            self._left_out += end.start()
            del buffer[: end.end()]
        else:
            passed = min(self._skip, len(buffer))
            self._skip -= passed
            del buffer[:passed]
            if self._skip:
                return False
        frames.append(Frame(self._head, self._left_out))
        self._head, self._left_out = b"", 0
        return True


def _frame(data: bytes) -> Frame:
    data = data.rstrip(b"\r\n\0")
    if len(data) > MESSAGE_MAX:
        return Frame(data[:MESSAGE_MAX], len(data) - MESSAGE_MAX)
    return Frame(data, 0)
