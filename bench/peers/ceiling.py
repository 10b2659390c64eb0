"""The ceiling: request bodies made beforehand, sent over two connections by next to no code.

`python -m bench.peers.ceiling URL FILE BYTES` sends the `_bulk` lines of FILE, about BYTES in a request. It does
nothing else that a shipper must do: no parsing, no redaction, no identity, no disk, no retry.
"""

import http.client
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

CONNECTIONS = 2
_HEADERS = {"content-type": "application/x-ndjson"}


def requests_of(lines: bytes, size: int) -> SimpleQueue[bytes]:
    """Return `lines` cut into requests of about `size` bytes, each a whole number of events."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    start = 0
    while start < len(lines):
        end = lines.find(b'\n{"create"', start + size)
        end = len(lines) if end < 0 else end + 1
        requests.put(lines[start:end])
        start = end
    return requests


def send_all(url: str, requests: SimpleQueue[bytes], failures: list[str]) -> None:
    """Send requests until none is left, or one fails."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=120)
    while not failures:
        try:
            body = requests.get_nowait()
        except Empty:
            break
        connection.request("POST", "/_bulk?filter_path=errors", body=body, headers=_HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200 or text != b'{"errors":false}':
            failures.append(f"{answer.status} {text[:300]!r}")
    connection.close()


def main(url: str, file: str, size: str) -> int:
    """Send FILE; return the exit status."""
    requests = requests_of(Path(file).read_bytes(), int(size))
    failures: list[str] = []
    threads = [threading.Thread(target=send_all, args=(url, requests, failures)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        sys.stderr.write(f"ceiling: {failure}\n")
    return 1 if failures or not requests.empty() else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
