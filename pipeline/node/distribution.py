"""Which Elasticsearch is embedded, and how it gets into a folder.

The server is the official build that Maven Central holds for integration tests: the real one with most
modules left out. Invariants: what is installed came from bytes with the pinned SHA-256; a server folder
under its final name is complete, because it is unpacked beside it, flushed and renamed.
"""

import errno
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from pipeline.clock import Clock
from pipeline.errors import ConfigurationError, PermanentError
from pipeline.node.download import Progress, fetch, sync_folder

VERSION = "8.19.21"
GROUP = "org.elasticsearch.distribution.integ-test-zip"
SHA256 = "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a"
NAME = f"elasticsearch-{VERSION}"
WHAT = f"Elasticsearch {VERSION}"
REPAIR = "set ELASTICSEARCH_URL to an Elasticsearch that runs already"
_UNPACKING = ".unpacking-"


def url() -> str:
    """Return the address of the archive on Maven Central."""
    # Here and not above: it brings an XML parser and a second HTTP library, which only a download needs.
    from maven_artifact import Artifact, Resolver

    return str(Resolver.default().uri_for_artifact(Artifact(GROUP, "elasticsearch", VERSION, extension="zip")))


def ensure_archive(cache: Path, progress: Progress, clock: Clock) -> Path:
    """Return the archive in `cache`, downloaded if it is not there or damaged. Raises as `download.fetch`."""
    return fetch(url(), cache / f"{NAME}.zip", SHA256, what=WHAT, repair=REPAIR, progress=progress, clock=clock)


def installed(folder: Path) -> Path | None:
    """Return the server in `folder`, or None if this version is not installed there."""
    server = folder / NAME
    return server if server.is_dir() else None


def install(archive: Path, folder: Path, progress: Progress) -> Path:
    """Unpack `archive` into `folder` and return the server's own folder there; other versions are removed.

    The caller sees to it that only one process installs into `folder`.
    Raises `ConfigurationError` when the disk is full or refuses.
    """
    ready = installed(folder)
    if ready is not None:
        return ready
    progress(f"unpacking {WHAT}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            shutil.rmtree(old)
        unpacked = Path(tempfile.mkdtemp(dir=folder, prefix=_UNPACKING))
        try:
            unpack(archive, unpacked)
            server = folder / NAME
            (unpacked / NAME).rename(server)
            sync_folder(folder)
        finally:
            shutil.rmtree(unpacked)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigurationError(
                f"no room for {WHAT} in {folder}: free 300 MB there, or set SIEMLITE_HOME to another folder"
            ) from error
        raise ConfigurationError(
            f"{folder} cannot hold {WHAT} ({error.strerror or error}): make it writable, or set SIEMLITE_HOME"
        ) from error
    return server


def unpack(archive: Path, into: Path) -> None:
    """Write the members of the zip file `archive` below `into`, with their modes, flushed to the disk.

    Everybody may read them: the user that the server runs as is not always the one who unpacks.
    """
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            target = into / member.filename
            if not target.resolve().is_relative_to(into.resolve()):
                raise PermanentError(f"{archive} holds the path {member.filename!r}, which leads out of its folder")
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with members.open(member) as source, target.open("xb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
                executable = (member.external_attr >> 16) & 0o111
                os.fchmod(out.fileno(), 0o755 if executable else 0o644)
                out.flush()
                os.fsync(out.fileno())
    for folder in [into, *(path for path in into.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
        sync_folder(folder)
