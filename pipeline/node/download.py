"""Bringing one file from the network into a folder that several processes share.

Invariants: a file under its final name has the promised SHA-256, whatever interrupts the download; what is
being written has a name of its own, is flushed to disk before the rename, and is removed on failure; what a
killed process left is swept away by the next download. At most one process downloads, the others wait for it.
"""

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigurationError, RetryableError, SiemliteError
from pipeline.node.patience import StartInterruptedError, lock, pause

Progress = Callable[[str], None]

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_BLOCK = 1 << 20


class _RefusedError(SiemliteError):
    """The server answered, and not with the file."""


def fetch(
    url: str,
    target: Path,
    sha256: str,
    *,
    what: str,
    repair: str,
    progress: Progress,
    clock: Clock | None = None,
    attempts: int = ATTEMPTS,
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> Path:
    """Return `target`, holding the bytes of `url` with the given SHA-256; download only if it does not yet.

    `what` and `repair` are words for messages. A time-out, a broken connection, a 5xx or 429 and wrong bytes are
    tried again, with pauses that double.
    Raises `RetryableError` when all attempts failed, `ConfigurationError` when the server refuses the file or the
    folder cannot be written.
    """
    clock = clock or SystemClock()
    with _folder_errors(what, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        if _has_hash(target, sha256):
            return target
        with _only_one(target, what, progress, clock):
            if _has_hash(target, sha256):
                return target
            for stale in target.parent.glob(f"{glob_escape(target.name)}.*.part"):
                stale.unlink(missing_ok=True)
            seconds = first_pause
            for attempt in range(1, attempts + 1):
                try:
                    _attempt(url, target, sha256, what=what, progress=progress, clock=clock)
                except StartInterruptedError:
                    raise
                except (httpx.TransportError, RetryableError) as error:
                    reason = str(error) or type(error).__name__
                    if attempt == attempts:
                        raise RetryableError(
                            f"{what} could not be downloaded from {url} in {attempts} attempts ({reason}): "
                            f"check the network and try again, or {repair}"
                        ) from error
                    progress(f"{what}: {reason}; attempt {attempt + 1} of {attempts} in {seconds:g} s")
                    pause(clock, seconds)
                    seconds *= 2
                except (httpx.HTTPError, _RefusedError) as error:
                    raise ConfigurationError(f"{what} cannot be downloaded from {url} ({error}): {repair}") from error
                else:
                    return target
    raise AssertionError("unreachable: the last attempt returns or raises")


def glob_escape(name: str) -> str:
    """Return `name` as a pattern that matches nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _attempt(url: str, target: Path, sha256: str, *, what: str, progress: Progress, clock: Clock) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            digest = hashlib.sha256()
            for block in _blocks(url, what, progress, clock):
                digest.update(block)
                out.write(block)
            if digest.hexdigest() != sha256:
                raise RetryableError("the downloaded bytes have another SHA-256 than the pinned one")
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), 0o644)
        part.replace(target)
        sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _blocks(url: str, what: str, progress: Progress, clock: Clock) -> Iterator[bytes]:
    with httpx.stream("GET", url, timeout=_TIMEOUT, follow_redirects=True) as response:
        if response.status_code in _TRANSIENT_STATUS:
            raise RetryableError(f"the server answered {response.status_code}")
        if response.status_code != httpx.codes.OK:
            raise _RefusedError(f"the server answered {response.status_code}")
        total = int(response.headers.get("Content-Length", "0") or 0)
        done = 0
        told = clock.monotonic()
        progress(f"downloading {what}" + (f" ({total / 1e6:.0f} MB)" if total else ""))
        for block in response.iter_raw(_BLOCK):
            pause(clock, 0.0)
            done += len(block)
            if clock.monotonic() - told >= 2.0:
                told = clock.monotonic()
                progress(f"downloading {what}: {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB"))
            yield block
        if total and done != total:
            raise RetryableError(f"the connection ended after {done} of {total} bytes")


def _has_hash(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


@contextmanager
def _only_one(target: Path, what: str, progress: Progress, clock: Clock) -> Iterator[None]:
    with target.with_name(f".{target.name}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that downloads {what}")
            lock(file.fileno(), clock)
        yield


@contextmanager
def _folder_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn what the disk says into one line that names the folder and the repair."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigurationError(
                f"no room for {what} in {folder}: free some space there, or set SIEMLITE_CACHE to another folder"
            ) from error
        raise ConfigurationError(
            f"{folder} cannot hold {what} ({error.strerror or error}): make it writable, or set SIEMLITE_CACHE"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
