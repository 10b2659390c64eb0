"""Lines that a container's runtime has parted, put together again.

What a program writes in one line, Docker's `json-file` driver keeps in pieces of 16 KB, of which the last alone
ends with a line feed; Kubernetes' runtimes mark each piece but the last with a `P` (CRI, `TIME stdout P PIECE`).
Whoever can make one value of an event that long would otherwise hide the event: no piece of it is JSON.

Invariants: pieces of one stream are joined in their order, whatever the other stream says between them; a joined
line has the offset of its first piece, and reads like a whole one of CRI's; reading goes on where no line is in
pieces, so that no piece is ever read without those before it, and gives nothing again; what is held is bounded as a
line is. Where a file ends within a line, what there is of it is given: pieces on both sides of a rotation stay apart.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import orjson

from pipeline.sources.formats.dialects import CRI, STREAMS, TIME, WRAPPER
from pipeline.sources.formats.format import Format
from pipeline.sources.lines import BEGINNING, CUT, HEAD_BYTES, LINE_MAX, Behind, Line, LineCutter

_DOCKER = b'{"log":"'
_DOCKER_PIECE = 16 * 1024
"""Bytes of text after which Docker parts a line (`defaultBufSize` of its log copier)."""

_LINES_LOOKED_AT = 10


class Cutter(Protocol):
    """Gives the lines of one source, see `LineCutter`."""

    @property
    def consumed(self) -> int:
        """The bytes that were fed, and those before them."""
        ...

    @property
    def waiting(self) -> int:
        """The bytes in memory of what is not given yet."""
        ...

    def feed(self, block: bytes) -> list[Line]:
        """Return the lines that `block`, the next bytes of the source, completes."""
        ...

    def finish(self) -> list[Line]:
        """Return what is left, where the source has ended."""
        ...

    def behind(self, lines: Sequence[Line], index: int) -> Behind:
        """Return where reading goes on behind line `index` of `lines`, which were given last."""
        ...

    @property
    def floor(self) -> int | None:
        """Where reading would go on now, if that lies before what is not given yet."""
        ...


def cutter_of(line_format: Format, start: Behind = BEGINNING) -> Cutter:
    """Return what gives the lines of a source that is read in `line_format`, from `start` on."""
    return PieceJoiner(start) if line_format.unwraps else LineCutter(start.offset)


class _Piece(NamedTuple):
    time: bytes
    stream: bytes
    text: bytes
    more: bool


class _Held:
    """The pieces so far of one line; of a long one both ends."""

    __slots__ = ("offset", "size", "tail", "text", "time")

    def __init__(self, offset: int, time: bytes) -> None:
        self.offset = offset
        self.time = time
        self.text = bytearray()
        self.tail = b""
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= LINE_MAX:
            self.text += piece
            return
        if not self.tail:
            self.tail = bytes(self.text[-HEAD_BYTES:])
            del self.text[HEAD_BYTES:]
        self.tail = (self.tail + piece)[-HEAD_BYTES:]

    def line(self, stream: bytes) -> Line:
        start = self.time + b" " + stream + b" F "
        if not self.tail:
            return self.offset, start + self.text, 0
        return self.offset, start + self.text + CUT + self.tail, self.size - len(self.text) - len(self.tail)


class PieceJoiner:
    """Cuts one source, from `start` on, and joins what belongs together."""

    __slots__ = ("_behind", "_cutter", "_given", "_held", "_wrapped", "floor")

    def __init__(self, start: Behind = BEGINNING) -> None:
        self._cutter = LineCutter(start.offset)
        self._given = start.given
        self._held: dict[bytes, _Held] = {}
        self._wrapped = False
        self._behind: list[Behind] = []  # for each line that was given last
        self.floor: int | None = None
        """Where the lines began to be in pieces that are so now."""

    @property
    def consumed(self) -> int:
        """See `Cutter`."""
        return self._cutter.consumed

    @property
    def waiting(self) -> int:
        """See `Cutter`."""
        return self._cutter.waiting + sum(len(held.text) + len(held.tail) for held in self._held.values())

    def feed(self, block: bytes) -> list[Line]:
        """See `Cutter`."""
        return self._joined(self._cutter.feed(block))

    def finish(self) -> list[Line]:
        """See `Cutter`."""
        lines = self._joined(self._cutter.finish())
        while self._held:
            stream, held = self._held.popitem()
            lines.append(held.line(stream))
            if not self._held:
                self.floor = None
            self._behind.append(self._reached(self._cutter.offset))
        return lines

    def behind(self, lines: Sequence[Line], index: int) -> Behind:
        """See `Cutter`."""
        return self._behind[index] if self._wrapped else self._cutter.behind(lines, index)

    def _joined(self, lines: list[Line]) -> list[Line]:
        if not self._wrapped:
            self._wrapped = any(_is_wrapped(line) for _, line, _ in lines[:_LINES_LOOKED_AT])
            if not self._wrapped:
                return lines
        given: list[Line] = []
        self._behind = []
        for index, line in enumerate(lines):
            whole = self._whole(line)
            if not self._held:
                self.floor = None
            elif self.floor is None:
                self.floor = line[0]
            if whole is not None and line[0] >= self._given:
                given.append(whole)
                self._behind.append(self._reached(self._cutter.behind(lines, index).offset))
        return given

    def _reached(self, offset: int) -> Behind:
        return Behind(offset if self.floor is None else self.floor, offset)

    def _whole(self, line: Line) -> Line | None:
        """Return the line that `line` is, or is the last piece of."""
        offset, data, left_out = line
        piece = None if left_out else self._piece(data)
        held = None if piece is None else self._held.get(piece.stream)
        if piece is None or (held is None and not piece.more):
            return line
        if held is None:
            held = self._held[piece.stream] = _Held(offset, piece.time)
        held.add(piece.text)
        if piece.more:
            return None
        del self._held[piece.stream]
        return held.line(piece.stream)

    def _piece(self, data: bytes) -> _Piece | None:
        """Return what a wrapped line holds; None also for one that is whole by itself, where that is plain to see."""
        match = CRI.fullmatch(data)
        if match is not None:
            return _Piece(match["time"], match["stream"], match["line"], match["flag"] == b"P")
        if not data.startswith(_DOCKER) or (not self._held and len(data) < _DOCKER_PIECE):
            return None
        try:
            written = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
        if not written.keys() <= WRAPPER:
            return None
        log, stream, time = (written.get(name) for name in ("log", "stream", "time"))
        if not isinstance(log, str) or stream not in STREAMS or not isinstance(time, str) or not TIME.fullmatch(time):
            return None
        text = log.encode()
        whole = text.endswith(b"\n") or len(text) < _DOCKER_PIECE
        return _Piece(time.encode(), stream.encode(), text.rstrip(b"\r\n") if whole else text, not whole)


def _is_wrapped(line: bytes) -> bool:
    return line.startswith(_DOCKER) or CRI.fullmatch(line) is not None
