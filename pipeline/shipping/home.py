"""The folder that holds what this machine keeps: keys and spools, for its owner's eyes only.

Invariants: folders are 0700 and files 0600; a key is made once, written whole or not at all, and two
processes that start together agree on it; two homes share nothing.
"""

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """This installation's keys, each for one purpose."""

    identity: bytes
    pseudonym: bytes
    drill: bytes

    def __repr__(self) -> str:
        return "Keys(…)"


def private_folder(path: Path) -> Path:
    """Make `path` where it is missing, readable by its owner alone; return it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"SIEMLITE_HOME: {path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"SIEMLITE_HOME: {path} is not writable by this user; change its owner or the setting")
    return path


def load_keys(folder: Path) -> Keys:
    """Return the keys in `folder`, making those that are missing."""
    private_folder(folder)
    return Keys(*(_key(folder / f"{name}.key") for name in ("identity", "pseudonym", "drill")))


def _key(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{path} is not a key of {KEY_BYTES} bytes; restore it from a backup")
    return key


def _make_key(path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        Path(name).unlink()
