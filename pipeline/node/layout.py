"""Where a home's node lies, and who runs it.

Elasticsearch refuses to run as root. Started by root, the server runs as whoever owns its data, else as the
user nobody, and that user must be able to reach the node's folder. A home behind a folder that others may
not enter therefore keeps its node in `OUTSIDE`, and has a link to it.

Invariants: the folder that holds state, lock and console belongs to who starts the node, so that the server's
user can plant no link there; what the server writes (`data`, `logs`, `tmp`, `config`) is closed to all others;
events already stored move along when the place changes.
"""

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.node.configuration import Configuration

OUTSIDE = Path("/var/lib/siemlite-nodes")
_SERVERS_OWN = ("data", "logs", "tmp")
_NOTE = "home"  # a file that names the home that a folder in `OUTSIDE` belongs to


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the server runs as, by numbers, when it is another than ours."""

    user: int
    group: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one home's node. `root` is the real folder, never a link."""

    home: Path
    root: Path

    @property
    def start_lock(self) -> Path:
        """Held while a node is started or stopped."""
        return self.home / "node.lock"

    @property
    def run_lock(self) -> Path:
        """Held by the supervisor while a server lives."""
        return self.root / "run.lock"

    @property
    def state(self) -> Path:
        """What runs, as JSON; there while it runs."""
        return self.root / "run.json"

    @property
    def ports(self) -> Path:
        """The ports used last, as JSON."""
        return self.root / "ports.json"

    @property
    def console(self) -> Path:
        """What the server said before and beside its log."""
        return self.root / "console.log"

    @property
    def supervisor_log(self) -> Path:
        """What a failing supervisor said."""
        return self.root / "supervisor.log"

    @property
    def programs(self) -> Path:
        """The unpacked server, one folder per version."""
        return self.root / "server"

    @property
    def config(self) -> Path:
        """The server's configuration, written anew at each start."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """The server's data."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """The server's log files."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.logs / "server.log"

    @property
    def tmp(self) -> Path:
        """The server's temporary files."""
        return self.root / "tmp"


def find(home: Path) -> Layout:
    """Return the node's layout of `home` as it is, without touching anything."""
    home = home.absolute()
    return Layout(home, (home / "node").resolve())


def account_for(home: Path) -> Account | None:
    """Return who runs the server of `home`: None for ourselves, when we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        owner = (find(home).data).stat()
    except FileNotFoundError:
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    if owner.st_uid == 0:
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    return Account(owner.st_uid, owner.st_gid)


def prepare(home: Path, account: Account | None, outside: Path = OUTSIDE) -> Layout:
    """Make the node's folders and return them, in a place that `account` can reach.

    The caller holds the start lock and no server runs. Raises `ConfigurationError` when a folder cannot be made.
    """
    home = home.absolute()
    try:
        layout = Layout(home, _place(home, account, outside))
        for name in _SERVERS_OWN:
            folder = layout.root / name
            folder.mkdir(mode=0o700, exist_ok=True)
            if account is not None and folder.stat().st_uid != account.user:
                _give(folder, account)
        shutil.rmtree(layout.tmp)
        _own_folder(layout.tmp, account)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or home} cannot be prepared for the embedded node ({error.strerror or error}): "
            "correct its owner and mode, or set SIEMLITE_HOME to another folder"
        ) from error
    return layout


def write_configuration(layout: Layout, account: Account | None, configuration: Configuration) -> None:
    """Replace the server's configuration folder by `configuration`."""
    # Made anew and only then given away: in a folder of the server's user root must not follow names.
    if layout.config.exists():
        shutil.rmtree(layout.config)
    layout.config.mkdir(mode=0o700)
    for name, text in configuration.files.items():
        path = layout.config / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if account is not None:
        _give(layout.config, account)


def reachable(path: Path, account: Account | None) -> bool:
    """Tell whether `account` may enter `path` and every folder above it; its other groups are not asked."""
    if account is None:
        return os.access(path, os.X_OK)
    path = path.resolve()
    return all(_may_enter(folder, account) for folder in [path, *path.parents])


def make_home(home: Path) -> None:
    """Make the home folder if it is not there: for its owner alone, except that root lets the server's user pass."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise ConfigurationError(
            f"{home} cannot be made ({error.strerror or error}): set SIEMLITE_HOME to a folder that can be written"
        ) from error


def _may_enter(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.user:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.group:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _place(home: Path, account: Account | None, outside: Path) -> Path:
    """Return the node's folder, made, moved out of an unreachable home if need be."""
    here = home / "node"
    if here.is_symlink():
        root = here.resolve()
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
        return root
    if account is None or reachable(home, account):
        here.mkdir(mode=0o700 if account is None else 0o711, exist_ok=True)
        return here.resolve()
    outside.mkdir(mode=0o711, parents=True, exist_ok=True)
    _sweep(outside)
    root = Path(tempfile.mkdtemp(dir=outside))
    root.chmod(0o711)
    if here.exists():
        for child in here.iterdir():
            shutil.move(child, root / child.name)
        here.rmdir()
    here.symlink_to(root)
    # Last, so that nobody sweeps a folder that its home does not link to yet.
    (root / _NOTE).write_text(os.fspath(home.resolve()), encoding="utf-8", errors="surrogateescape")
    return root


def _sweep(outside: Path) -> None:
    """Remove the nodes of homes that are gone; only of homes in the folder for temporary files, which never return."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for note in outside.glob(f"*/{_NOTE}"):
        try:
            home = Path(note.read_text(encoding="utf-8", errors="surrogateescape"))
        except FileNotFoundError:
            continue
        if home.is_relative_to(temporary) and (home / "node").resolve() != note.parent.resolve():
            shutil.rmtree(note.parent, ignore_errors=True)  # Another start may sweep it too; what is left comes again.


def _own_folder(folder: Path, account: Account | None) -> None:
    folder.mkdir(mode=0o700)
    if account is not None:
        os.chown(folder, account.user, account.group)


def _give(folder: Path, account: Account) -> None:
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            os.chown(Path(parent) / name, account.user, account.group, follow_symlinks=False)
    os.chown(folder, account.user, account.group)
