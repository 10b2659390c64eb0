"""A download is whole or not there."""

import contextlib
import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.node.download import fetch
from pipeline.node.patience import ImpatientClock, StartInterruptedError
from tests.unit.node.web import answering, body

CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class NoWaiting:
    """A clock that stands still; its waits end at once and are noted."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def wait(self, wake: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return wake.is_set()


def get(url: str, target: Path, clock: NoWaiting | None = None, said: list[str] | None = None) -> Path:
    return fetch(
        url,
        target,
        SHA256,
        what="Thing 1.0",
        repair="set ELASTICSEARCH_URL",
        progress=(said if said is not None else []).append,
        clock=clock or NoWaiting(),
        attempts=3,
    )


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_download_is_the_promised_file_and_is_not_fetched_twice(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "file.zip"
    said: list[str] = []
    with answering(body(CONTENT)) as web:
        assert get(web.url, target, said=said) == target
        assert target.read_bytes() == CONTENT
        get(web.url, target)
        assert web.requests == 1
    assert said == ["downloading Thing 1.0 (3 MB)"]
    assert left_over(target.parent) == ["file.zip"]


def test_a_cached_file_with_a_wrong_hash_is_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "file.zip"
    target.write_bytes(CONTENT[:-1])
    with answering(body(CONTENT)) as web:
        get(web.url, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (body(b"busy", status=503), "answered 503"),
        (body(b"slow down", status=429), "answered 429"),
        (body(CONTENT[:1_000_000], length=len(CONTENT)), "1000000"),
        (body(b"x" * len(CONTENT)), "SHA-256"),
        (body(CONTENT[:-1]), "SHA-256"),
    ],
)
def test_a_passing_failure_is_tried_again_and_told(tmp_path: Path, first: object, reason: str) -> None:
    said: list[str] = []
    clock = NoWaiting()
    with answering(first, body(CONTENT)) as web:  # type: ignore[arg-type]
        get(web.url, tmp_path / "file.zip", clock, said)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert left_over(tmp_path) == ["file.zip"]
    assert [seconds for seconds in clock.waits if seconds] == [0.5]
    assert any(reason in line and "attempt 2 of 3" in line for line in said)


def test_after_the_last_attempt_one_line_names_the_thing_and_the_repair(tmp_path: Path) -> None:
    clock = NoWaiting()
    with answering(body(b"", status=502)) as web, pytest.raises(RetryableError) as caught:
        get(web.url, tmp_path / "file.zip", clock)
    assert web.requests == 3
    assert [seconds for seconds in clock.waits if seconds] == [0.5, 1.0]
    message = str(caught.value)
    assert "\n" not in message
    assert "Thing 1.0" in message
    assert web.url in message
    assert "set ELASTICSEARCH_URL" in message
    assert left_over(tmp_path) == []


def test_a_refused_connection_is_retryable(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match=r"Thing 1\.0 could not be downloaded"):
        get("http://127.0.0.1:1/file.zip", tmp_path / "file.zip")


def test_a_missing_file_is_not_asked_for_again(tmp_path: Path) -> None:
    with answering(body(b"", status=404)) as web, pytest.raises(ConfigurationError, match="answered 404"):
        get(web.url, tmp_path / "file.zip")
    assert web.requests == 1
    assert left_over(tmp_path) == []


def test_what_a_killed_download_left_is_swept_and_the_next_one_succeeds(tmp_path: Path) -> None:
    arrived = threading.Event()
    release = threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[:2_000_000])
        arrived.set()
        release.wait(30)

    program = (
        "import sys; from pathlib import Path; from pipeline.node.download import fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], what='x', repair='y', progress=print)"
    )
    target = tmp_path / "file.zip"
    with answering(hang, body(CONTENT)) as web:
        child = subprocess.Popen([sys.executable, "-c", program, web.url, str(target), SHA256])
        assert arrived.wait(30)
        deadline = time.monotonic() + 30
        while not any(name.endswith(".part") for name in left_over(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        release.set()
        assert [name for name in left_over(tmp_path) if name.endswith(".part")]
        assert not target.exists()
        get(web.url, target)
    assert left_over(tmp_path) == ["file.zip"]
    assert target.read_bytes() == CONTENT


def test_two_processes_download_once_and_both_have_the_file(tmp_path: Path) -> None:
    def slow(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        for start in range(0, len(CONTENT), 500_000):
            request.wfile.write(CONTENT[start : start + 500_000])
            time.sleep(0.1)

    program = (
        "import sys; from pathlib import Path; from pipeline.node.download import fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3], what='x', repair='y', progress=lambda _: None)"
    )
    target = tmp_path / "file.zip"
    with answering(slow) as web:
        arguments = [sys.executable, "-c", program, web.url, str(target), SHA256]
        children = [subprocess.Popen(arguments) for _ in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
        assert web.requests == 1
    assert target.read_bytes() == CONTENT
    assert left_over(tmp_path) == ["file.zip"]


def test_a_download_that_is_called_off_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    stop = threading.Event()

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**12))
        request.end_headers()
        stop.set()
        with contextlib.suppress(ConnectionError):
            while True:
                request.wfile.write(b"x" * 1_000_000)

    with answering(endless) as web, pytest.raises(StartInterruptedError):
        fetch(
            web.url,
            tmp_path / "file.zip",
            SHA256,
            what="x",
            repair="y",
            progress=lambda _: None,
            clock=ImpatientClock(SystemClock(), stop),
        )
    assert web.requests == 1
    assert left_over(tmp_path) == []


def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with answering(body(CONTENT)) as web, pytest.raises(ConfigurationError) as caught:
        get(web.url, tmp_path / "file.zip")
    assert str(tmp_path) in str(caught.value)
    assert "SIEMLITE_CACHE" in str(caught.value)
    assert left_over(tmp_path) == []


def test_a_cache_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConfigurationError, match="SIEMLITE_CACHE"):
        get("http://127.0.0.1:1/file.zip", tmp_path / "cache" / "file.zip")
