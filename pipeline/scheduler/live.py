"""The detections as they are now: reloaded when a file changes or SIGHUP asks for it.

Invariants: a broken new version keeps the old one running and says so, once; a detection that is gone from its
folder stops, one that is new begins; checkpoints belong to ids, so a reload loses none. What cannot be loaded
costs no other detection.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.detection.detection import Detection
from pipeline.engine.loader import Loaded
from pipeline.errors import ConfigurationError

Fingerprint = tuple[tuple[str, int, int, int], ...]

_log = logging.getLogger(__name__)


class LiveDetections:
    """Holds the detections; `refresh` is called now and then. Safe to ask from any thread."""

    def __init__(self, folders: Callable[[], Sequence[Path]], load: Callable[[Sequence[Path]], Loaded]) -> None:
        """Load at once. Raises `ConfigurationError` where the folders themselves are wrong."""
        self._folders = folders
        self._load = load
        self._asks = self._answered = 0  # numbers: a signal's handler may take no lock
        where = folders()
        self._seen = _fingerprint(where)
        loaded = load(where)
        self._detections = loaded.detections
        self._failures = loaded.failures

    @property
    def detections(self) -> tuple[Detection, ...]:
        """Return the detections in force."""
        return self._detections

    @property
    def failures(self) -> tuple[ConfigurationError, ...]:
        """Return why files could not be loaded."""
        return self._failures

    def ask(self) -> None:
        """Have the next `refresh` load everything. May be called by a signal's handler."""
        self._asks += 1

    def refresh(self) -> bool:
        """Load anew if a file has changed or it was asked for; return whether it was loaded."""
        asks = self._asks
        asked = asks != self._answered
        self._answered = asks
        try:
            where = self._folders()
            seen = _fingerprint(where)
            if seen == self._seen and not asked:
                return False
            loaded = self._load(where)
        except (ConfigurationError, OSError) as error:
            if asked or str(error) not in {str(failure) for failure in self._failures}:
                _log.error("the detections stay as they are: %s", error)
            self._failures = (error if isinstance(error, ConfigurationError) else ConfigurationError(str(error)),)
            return False
        self._seen = seen
        self._take(loaded)
        return True

    def _take(self, loaded: Loaded) -> None:
        before = {detection.id: detection for detection in self._detections}
        after = {detection.id: detection for detection in loaded.detections}
        for detection in self._detections:
            if detection.id in loaded.broken:
                after[detection.id] = detection
                _log.error("%s: its new version cannot be loaded; the old one goes on", detection.id)
            elif detection.id not in after:
                _log.warning("%s is gone and stops", detection.id)
        known = {str(failure) for failure in self._failures}
        for failure in loaded.failures:
            if str(failure) not in known:
                _log.error("%s", failure)
        new = sorted(after.keys() - before.keys())
        changed = sorted(name for name in after.keys() & before.keys() if after[name] != before[name])
        self._detections = tuple(after[name] for name in sorted(after))
        self._failures = loaded.failures
        _log.warning(
            "%d detections%s%s",
            len(after),
            f"; new: {', '.join(new)}" if new else "",
            f"; changed: {', '.join(changed)}" if changed else "",
        )


def _fingerprint(folders: Sequence[Path]) -> Fingerprint:
    """Return what changes when a file of the folders does."""
    found = []
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
