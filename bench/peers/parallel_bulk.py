"""`elasticsearch.helpers.parallel_bulk`: as it comes, or with the faster serialiser and a thread for each core.

`python -m bench.peers.parallel_bulk URL FILE INDEX [--tuned]`. No redaction, no identity, no spool, no retry. As it
comes it has four threads and the standard library's JSON, which then also reads the documents. Its own chunks of 500
are kept: with 2,000 it was measured to take half as much processor time again.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch, OrjsonSerializer
from elasticsearch.helpers import parallel_bulk

TUNED = "--tuned"
THREADS = 2


def actions(file: Path, index: str, loads: Callable[[bytes], Any]) -> Iterator[dict[str, Any]]:
    """Yield an action for each document in `file`, read with `loads`."""
    with file.open("rb") as lines:
        for line in lines:
            yield {"_op_type": "create", "_index": index, "_source": loads(line)}


def main(url: str, file: str, index: str, tuned: str = "") -> int:
    """Index FILE; return the exit status."""
    if tuned == TUNED:
        client = Elasticsearch([url], serializer=OrjsonSerializer(), request_timeout=120)
        results = parallel_bulk(client, actions(Path(file), index, orjson.loads), thread_count=THREADS)
    else:
        client = Elasticsearch([url], request_timeout=120)
        results = parallel_bulk(client, actions(Path(file), index, json.loads))
    return 0 if all(done for done, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
