"""Which files there are: the paths and globs that a user follows, looked up again and again.

Invariants: what is wrong with a path is said once, and again only after it was well in between; what a pattern
finds and is a symbolic link, or lies behind one, is followed only where who made the link is trusted (root, this
process's user) or owns what it leads to: whoever may write to a folder of logs could have any file read by linking
it there. A path that is named whole leads where it leads.
"""

import fnmatch
import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import ConfigurationError

GLOB_SECONDS = 1.0
_SAID_MAX = 1_000
_LINKS_MOST = 40


class Discovery:
    """Finds the files of `patterns`; `notify` is told what is wrong. Raises `ConfigurationError` for no path at all."""

    def __init__(self, patterns: Sequence[str], notify: Callable[[str], None]) -> None:
        for pattern in patterns:
            if not pattern or "\0" in pattern:
                raise ConfigurationError(f"{pattern!r} is no path; name a file or a pattern such as /var/log/*.log")
        absolute = [os.path.abspath(pattern) for pattern in patterns]  # noqa: PTH100 - a glob is no path
        self._globs = [pattern for pattern in absolute if glob.has_magic(pattern)]
        self._literal = [pattern for pattern in absolute if not glob.has_magic(pattern)]
        self._named = frozenset(self._literal)
        self._notify = notify
        self._said: dict[str, str] = {}
        self._link_owners: dict[str, frozenset[int] | None] = {}
        self._found: list[str] = []
        self._globbed_at: float | None = None
        self._fruitless = set(self._globs)

    def files(self, now: float) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield each regular file there is, at the monotonic second `now`, with its status."""
        if self._globbed_at is None or now - self._globbed_at >= GLOB_SECONDS:
            self._globbed_at = now
            self._link_owners.clear()
            found = set()
            for pattern in self._globs:
                paths = list(_found(pattern))
                found.update(paths)
                self._tell_of_nothing(pattern, paths)
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
            if name not in self._named and not self.trusts(name, status):
                self.complain(path, f"{path} is a link that somebody else made; name it whole to follow it")
                continue
            if not stat.S_ISREG(status.st_mode):
                if name in self._literal:
                    self.complain(path, f"{path} is not a file that can be followed")
                continue
            yield path, status

    def _tell_of_nothing(self, pattern: str, paths: Sequence[str]) -> None:
        """Say that a pattern has found no file since the beginning; later, rotation may have taken them all away."""
        if pattern in self._fruitless:
            if any(map(os.path.isfile, paths)):
                self._fruitless.discard(pattern)
            else:
                self.complain(Path(pattern), f"no file matches {pattern} yet; waiting for one")

    def trusts(self, name: str, target: os.stat_result) -> bool:
        """Return whether the links on the way from `name` to `target`, if any, are of somebody who may make them."""
        folder = os.path.dirname(name)  # noqa: PTH120
        owners = self._owners_of(folder)
        try:
            if owners is not None and stat.S_ISLNK(os.lstat(name).st_mode):
                owners = self._owners_of(name)
        except OSError:
            owners = None
        return owners is not None and owners <= {0, os.geteuid(), target.st_uid}

    def _owners_of(self, name: str) -> frozenset[int] | None:
        if name not in self._link_owners:
            self._link_owners[name] = _link_owners(name)
        return self._link_owners[name]

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


def _link_owners(name: str) -> frozenset[int] | None:
    """Return who made the links on the way to where `name` leads; None where that cannot be told."""
    owners: set[int] = set()
    left = [part for part in name.split("/") if part]
    path, links = "/", 0
    try:
        while left:
            part = left.pop(0)
            if part == "..":
                path = os.path.dirname(path)  # noqa: PTH120 - a path of links, step by step
                continue
            here = os.path.join(path, part)  # noqa: PTH118
            status = os.lstat(here)
            if not stat.S_ISLNK(status.st_mode):
                path = here
                continue
            owners.add(status.st_uid)
            links += 1
            if links > _LINKS_MOST:
                return None
            leads = os.readlink(here)  # noqa: PTH115
            path = "/" if leads.startswith("/") else path
            left = [step for step in leads.split("/") if step not in ("", ".")] + left
    except OSError:
        return None
    return frozenset(owners)


def _found(pattern: str) -> Iterable[str]:
    """Return the paths that match `pattern`; a folder is entered once, whatever links lead to it."""
    names = pattern.split("/")
    if "**" not in names:
        return glob.glob(pattern)  # noqa: PTH207
    fixed = next(at for at, name in enumerate(names) if glob.has_magic(name))
    return _walked("/".join(names[:fixed]) or "/", names)


def _walked(root: str, names: Sequence[str]) -> Iterator[str]:
    entered: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        try:
            status = os.stat(folder)  # noqa: PTH116
        except OSError:
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = os.path.join(folder, name)  # noqa: PTH118
            if _matches(path.split("/"), names):
                yield path


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the names of `path` match those of `pattern`, of which `**` stands for any number."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        ends = (at for at, name in enumerate(path) if name.startswith("."))
        return any(_matches(path[start:], pattern[1:]) for start in range(next(ends, len(path)) + 1))
    if not path or (path[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
