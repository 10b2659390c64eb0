"""Which files there are: the paths and globs that a user follows, looked up again and again.

Invariant: what is wrong with a path is said once, and again only after it was well in between.
"""

import fnmatch
import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import ConfigurationError

GLOB_SECONDS = 1.0
_SAID_MAX = 1_000


class Discovery:
    """Finds the files of `patterns`; `notify` is told what is wrong. Raises `ConfigurationError` for no path at all."""

    def __init__(self, patterns: Sequence[str], notify: Callable[[str], None]) -> None:
        for pattern in patterns:
            if not pattern or "\0" in pattern:
                raise ConfigurationError(f"{pattern!r} is no path; name a file or a pattern such as /var/log/*.log")
        absolute = [os.path.abspath(pattern) for pattern in patterns]  # noqa: PTH100 - a glob is no path
        self._globs = [pattern for pattern in absolute if glob.has_magic(pattern)]
        self._literal = [pattern for pattern in absolute if not glob.has_magic(pattern)]
        self._notify = notify
        self._said: dict[str, str] = {}
        self._found: list[str] = []
        self._globbed_at: float | None = None

    def files(self, now: float) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield each regular file there is, at the monotonic second `now`, with its status."""
        if self._globbed_at is None or now - self._globbed_at >= GLOB_SECONDS:
            self._globbed_at = now
            found = {path for pattern in self._globs for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207
            self._found = sorted(found.difference(self._literal))
        for name in [*self._literal, *self._found]:
            path = Path(name)
            try:
                status = path.stat()
            except FileNotFoundError:
                if name in self._literal:
                    self.complain(path, f"{path} does not exist yet; waiting for it")
                continue
            except OSError as error:
                self.complain(path, f"{path} cannot be read: {error.strerror}; trying again")
                continue
            if not stat.S_ISREG(status.st_mode):
                if name in self._literal:
                    self.complain(path, f"{path} is not a file that can be followed")
                continue
            yield path, status

    def leads_to(self, path: str) -> bool:
        """Return whether a file at `path`, which may be gone, would be found."""
        return path in self._literal or any(_matches(path.split("/"), pattern.split("/")) for pattern in self._globs)

    def complain(self, path: Path, text: str) -> None:
        """Say what is wrong with `path`, once."""
        name = str(path)
        if self._said.get(name) == text:
            return
        if len(self._said) >= _SAID_MAX:
            self._said.clear()
        self._said[name] = text
        self._notify(text)

    def well(self, path: Path) -> None:
        """Note that nothing is wrong with `path`."""
        self._said.pop(str(path), None)


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the names of `path` match those of `pattern`, of which `**` stands for any number."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
