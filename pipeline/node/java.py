"""Finding the Java that the embedded Elasticsearch runs on.

Invariants: no setting is needed; what is returned has been started once and has told its own version, so a
stub, a shim or a broken link is never handed to the server. What is missing is said in one line with the
command that cures it.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError

OLDEST = 17
REPAIR = (
    "install one: `apt install openjdk-17-jre-headless` on Debian, `brew install openjdk@17` on macOS "
    "(or set ELASTICSEARCH_URL to an Elasticsearch that runs already)"
)
# Where packages put a Java that is not on the PATH; Homebrew's is never linked there.
_WELL_KNOWN = (
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/usr/lib/jvm/*",
)
_PROBE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that started: its home folder (links resolved) and its feature version, such as 17."""

    home: Path
    version: int


def find_java(
    environment: Mapping[str, str] = os.environ,
    *,
    usable: Callable[[Path], bool] = lambda _: True,
    well_known: tuple[str, ...] = _WELL_KNOWN,
) -> Java:
    """Return the first Java of at least version 17: ES_JAVA_HOME, JAVA_HOME, the PATH, the usual folders.

    `usable` may refuse a home, for instance one that the server's user cannot reach.
    Raises `ConfigurationError` that says what was found instead, and how to get a new enough one.
    """
    refused: list[str] = []
    seen: set[Path] = set()
    for program in _candidates(environment, well_known):
        real = program.resolve()
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        java = _probe(program)
        if java is None:
            continue
        if java.version < OLDEST:
            refused.append(f"{java.home} is Java {java.version}")
        elif not _can_link(java.home):
            refused.append(f"{java.home} lacks the module jdk.jlink")
        elif not usable(java.home):
            refused.append(f"{java.home} cannot be read by the user that the server runs as")
        else:
            return java
    found = f" ({'; '.join(refused)})" if refused else ""
    raise ConfigurationError(f"Java {OLDEST} or newer is needed and was not found{found}: {REPAIR}")


def _candidates(environment: Mapping[str, str], well_known: tuple[str, ...]) -> Iterator[Path]:
    for name in ("ES_JAVA_HOME", "JAVA_HOME"):
        if environment.get(name):
            yield Path(environment[name]) / "bin" / "java"
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    if on_path:
        yield Path(on_path)
    for pattern in well_known:
        for home in sorted(glob.glob(pattern), reverse=True):  # noqa: PTH207 (an absolute pattern)
            yield Path(home) / "bin" / "java"


def _probe(program: Path) -> Java | None:
    """Start `program` and let it tell what it is; None if it cannot."""
    try:
        # Through its own path, not the resolved one: a version manager's shim looks at the name it is called by.
        answer = subprocess.run(  # noqa: S603 (a fixed argument list, no shell)
            [os.fspath(program), "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = answer.stderr + answer.stdout
    home = re.search(r"^\s*java\.home = (.+?)\s*$", said, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", said, re.MULTILINE)
    if answer.returncode != 0 or home is None or version is None:
        return None
    return Java(Path(home[1]).resolve(), int(version[1]))


def _can_link(home: Path) -> bool:
    """Tell whether the runtime holds jdk.jlink, without which Elasticsearch 8 does not boot.

    A runtime whose `release` file lists no modules gets the benefit of the doubt.
    """
    try:
        release = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    modules = re.search(r'^MODULES="([^"]*)"', release, re.MULTILINE)
    return modules is None or "jdk.jlink" in modules[1].split()


def main() -> int:
    """Say on stderr what is missing, if anything is; return the exit status."""
    try:
        find_java()
    except ConfigurationError as error:
        sys.stderr.write(f"siemlite: {error}\n")
        return 2
    return 0
