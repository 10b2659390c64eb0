"""Dead letters: events that Elasticsearch refuses, kept with the reason until somebody looks.

Invariants: a letter is durable before its event leaves the spool; it is kept in the index
`security-dead-letters`, and in a local file of the home where that fails too; the same event makes the same
letter, however often it is written.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from pipeline.events.encoded import body_of
from pipeline.events.skeleton import skeleton
from pipeline.events.values import instant_text, shortened
from pipeline.shipping.bulk import event_of
from pipeline.shipping.home import private_folder

INDEX = "security-dead-letters-v1"
_FILE = "dead-letters.jsonl"
_KEPT = frozenset({200, 201, 409})
_log = logging.getLogger(__name__)
_HEADERS = {"content-type": "application/x-ndjson", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A refused event: where it was to go, why it was refused, and its redacted document as text."""

    event_id: str
    index: str
    reason: str
    document: str
    time_ms: int

    def body(self) -> dict[str, Any]:
        """Return the letter as a document."""
        return {
            "@timestamp": instant_text(self.time_ms),
            "event": {"id": self.event_id, "kind": "pipeline_error"},
            "siemlite": {"letter": {"index": self.index, "document": self.document, "state": "kept"}},
            "error": {"message": shortened(self.reason, 8000)},
        }


def buried(event: bytes, reason: str, now_ms: int) -> tuple[Letter, bytes]:
    """Return the letter of a refused event, given as its lines, and the lines of its skeleton.

    The skeleton stands in the event's place so that it still counts; none comes of a skeleton that was refused itself.
    """
    index, event_id, document = event_of(event)
    document.pop("event.ingested", None)
    letter = Letter(event_id, index, reason, orjson.dumps(document).decode(), now_ms)
    if "skeleton" in document.get("siemlite", {}):
        return letter, b""
    remains = skeleton(document, event_id, str(document.get("@timestamp")), reason, whole_kept=True)
    action = event.partition(b"\n")[0]
    return letter, b"%b\n%b\n" % (action, body_of(remains))


class DeadLetters:
    """Keeps letters in Elasticsearch, else in `folder`."""

    def __init__(self, client: Elasticsearch, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._said = ""
        self.kept = 0

    def keep(self, letters: Sequence[Letter]) -> None:
        """Make `letters` durable. Raises `OSError` where neither the index nor the disk takes them."""
        left = self._index(letters)
        if left:
            self._write(left)
        self.kept += len(letters)

    def _index(self, letters: Sequence[Letter]) -> list[Letter]:
        lines = []
        for letter in letters:
            lines.append(orjson.dumps({"create": {"_index": INDEX, "_id": letter.event_id}}))
            lines.append(orjson.dumps(letter.body()))
        try:
            answer = self._client.perform_request(
                "POST", "/_bulk?filter_path=items.*.status", headers=_HEADERS, body=b"\n".join(lines) + b"\n"
            )
        except (ApiError, TransportError) as error:
            return self._refused(letters, str(error))
        items = answer.body.get("items", []) if isinstance(answer.body, dict) else []
        if len(items) != len(letters):
            return self._refused(letters, "the answer is not one to the request")
        statuses = [item.get("create", {}).get("status") for item in items]
        left = [letter for letter, status in zip(letters, statuses, strict=True) if status not in _KEPT]
        return self._refused(left, f"status {', '.join(map(str, sorted({*statuses} - _KEPT, key=str)))}")

    def _refused(self, letters: Sequence[Letter], reason: str) -> list[Letter]:
        """Return `letters`, which go to the local file; say why, once for each reason that follows another."""
        if not letters:
            self._said = ""
        elif reason != self._said:
            self._said = reason
            _log.warning("dead letters go to %s: %s does not take them: %s", self._folder / _FILE, INDEX, reason)
        return list(letters)

    def _write(self, letters: Sequence[Letter]) -> None:
        _append(self._folder, [{"id": letter.event_id, **letter.body()} for letter in letters])


def mark_replayed(folder: Path, event_ids: Sequence[str]) -> None:
    """Note that letters of the local file were replayed. Raises `OSError`."""
    _append(folder, [{"id": event_id, "replayed": True} for event_id in event_ids])


def _append(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path = private_folder(folder) / _FILE
    lines = b"".join(orjson.dumps(record) + b"\n" for record in records)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # Whoever wrote last was killed within a line, or found the disk full.
        _write_whole(handle, lines)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_whole(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def local_letters(folder: Path, *, replayed: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the letters in the local file, each once, those that were replayed only when asked."""
    path = folder / _FILE
    if not path.exists():
        return
    done = {record["id"] for record in _records(path) if record.get("replayed")}
    seen = set()
    for letter in _records(path):
        if letter["id"] in seen or letter.get("replayed") or (letter["id"] in done and not replayed):
            continue
        seen.add(letter["id"])
        if letter["id"] in done:
            letter["siemlite"]["letter"]["state"] = "replayed"
        yield letter


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what the file's lines hold; a torn one is passed over."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
