"""A batch of serialised documents as lines of one buffer, searched as a whole."""

import re
import sys
from collections.abc import Callable, Iterator


class Lines:
    """A buffer of lines. Searches answer with the numbers of lines; they are cheapest when hits come in order."""

    __slots__ = ("_counted", "_number", "joined")

    def __init__(self, joined: bytes) -> None:
        self.joined = joined
        self._counted = 0
        self._number = 0

    def each(self, find: Callable[[int], int]) -> Iterator[int]:
        """Yield the numbers of the lines in which `find`, given where to begin, finds something."""
        at = find(0)
        while at >= 0:
            line, following = self.line(at)
            yield line
            at = find(following)

    def behind(self, rare: bytes, before: bytes) -> Iterator[int]:
        """Yield the numbers of the lines in which the `rare` byte follows `before`."""
        find = self.joined.find
        at = find(rare)
        while at >= 0:
            if self.joined.endswith(before, 0, at):
                yield self.line(at)[0]
            at = find(rare, at + 1)

    def line(self, at: int) -> tuple[int, int]:
        """Return the number of the line that holds the offset `at`, and where the next one begins.

        Hits come in order, so newlines are counted from the last one.
        """
        if at < self._counted:
            self._counted = self._number = 0
        self._number += self.joined.count(b"\n", self._counted, at)
        self._counted = at
        end = self.joined.find(b"\n", at)
        return self._number, len(self.joined) if end < 0 else end + 1


def match_of(pattern: re.Pattern[bytes], joined: bytes, end: int = sys.maxsize) -> Callable[[int], int]:
    """Return a search for `pattern` before `end` that answers like `bytes.find`."""
    search = pattern.search

    def find(at: int) -> int:
        found = search(joined, at, end)
        return -1 if found is None else found.start()

    return find
