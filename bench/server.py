"""The server of a benchmark: a real Elasticsearch of its own, or the one that `TEST_ELASTICSEARCH_URL` names.

Invariants: every run finds siemlite's templates and no index of siemlite's; what is asked while a run goes on costs
the server next to nothing and is the same for all contenders; a server that was started here is gone afterwards.
"""

import http.client
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from pipeline.elastic import templates
from pipeline.elastic.client import connect
from pipeline.node import ServerOptions
from pipeline.settings import load_settings
from tests.node import temporary_node

_PATTERN = "security-*"
_EVENTS = "security-logs-*"
_PAGE = 5_000
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the stored events: their ids, their sources, and the bytes that both came in."""

    hits: list[dict[str, Any]]
    text: bytes


class Server:
    """A connection with the server at `url`, for one thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.username:
            raise ValueError("a benchmark needs an Elasticsearch at http://HOST:PORT, without credentials")
        self.url = url
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=120)
        self.version, self.pid = self._identity()

    def fresh(self) -> None:
        """Remove what siemlite's indices hold, and let the machine come to rest."""
        rows = self._ask("GET", f"/_cat/indices/{_PATTERN}?format=json&expand_wildcards=all&h=index")
        for row in rows:
            self._ask("DELETE", f"/{row['index']}")
        self.install()
        os.sync()
        time.sleep(_SETTLE_SECONDS)

    def install(self) -> None:
        """Install siemlite's index templates."""
        client = connect(load_settings(None, es_user=None, es_password=None, es_api_key=None), self.url)
        try:
            templates.install(client)
        finally:
            client.close()

    def indexed(self) -> int:
        """Return how many events were indexed since `fresh`, searchable or not."""
        path = f"/{_EVENTS}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
        return int(
            self._ask("GET", path).get("_all", {}).get("primaries", {}).get("indexing", {}).get("index_total", 0)
        )

    def searchable(self) -> int:
        """Make searchable what was indexed; return how many events there are."""
        self._ask("POST", f"/{_EVENTS}/_refresh?filter_path=_shards.failed")
        return int(self._ask("GET", f"/{_EVENTS}/_count")["count"])

    def pages(self) -> Iterator[Page]:
        """Yield all searchable events."""
        pit = self._ask("POST", f"/{_EVENTS}/_pit?keep_alive=2m")["id"]
        query: dict[str, Any] = {"size": _PAGE, "pit": {"id": pit, "keep_alive": "2m"}, "sort": ["_shard_doc"]}
        while True:
            text = self._send("POST", "/_search?filter_path=hits.hits._id,hits.hits._source,hits.hits.sort", query)
            hits = orjson.loads(text).get("hits", {}).get("hits", [])
            if not hits:
                break
            yield Page(hits, text)
            query["search_after"] = hits[-1]["sort"]
        self._ask("DELETE", "/_pit", {"id": pit})

    def cpu_seconds(self) -> float | None:
        """Return the processor time that the server has used, where it runs on this machine and that can be read."""
        if self.pid is None:
            return None
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _identity(self) -> tuple[str, int | None]:
        nodes = self._ask("GET", "/_nodes/process?filter_path=nodes.*.version,nodes.*.process.id")["nodes"].values()
        first = next(iter(nodes))
        pid = int(first["process"]["id"])
        comm = Path(f"/proc/{pid}/comm")
        is_here = len(nodes) == 1 and comm.exists() and "java" in comm.read_text(encoding="utf-8")
        return first["version"], pid if is_here else None

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return orjson.loads(self._send(method, path, body))

    def _send(self, method: str, path: str, body: object = None) -> bytes:
        content = None if body is None else orjson.dumps(body)
        self._connection.request(method, path, body=content, headers={"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise OSError(f"{method} {path.partition('?')[0]}: {answer.status} {text[:300]!r}")
        return text


@contextmanager
def benchmark_server() -> Iterator[Server]:
    """Provide the server: the one named, else one of its own with the product's own options."""
    given = os.environ.get("TEST_ELASTICSEARCH_URL")
    if given:
        server = Server(given)
        try:
            yield server
        finally:
            server.close()
        return
    with temporary_node(options=ServerOptions()) as node:
        server = Server(node.url)
        try:
            yield server
        finally:
            server.close()
