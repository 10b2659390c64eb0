"""What must be in Elasticsearch, and what is."""

import json
import shutil
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.shipping.bulk import event_of, lines_of
from pipeline.shipping.home import load_keys
from pipeline.sources.files import FileSource
from pipeline.sources.formats.format import format_factory

LOGS = "security-logs-*"
_PAGE = 5_000


def stored(client: Elasticsearch, index: str = LOGS) -> Iterator[dict[str, Any]]:
    """Yield every document of `index`, as hits."""
    client.indices.refresh(index=index)
    pit = client.open_point_in_time(index=index, keep_alive="2m")["id"]
    after = None
    while True:
        answer = client.search(
            pit={"id": pit, "keep_alive": "2m"},
            size=_PAGE,
            sort=[{"_shard_doc": "asc"}],
            search_after=after,
            track_total_hits=False,
        )
        hits = answer["hits"]["hits"]
        yield from hits
        if len(hits) < _PAGE:
            break
        after = hits[-1]["sort"]
    client.close_point_in_time(id=pit)


def number_of(document: Mapping[str, Any]) -> int:
    """Return the number that an event carries."""
    return int(document["siemlite"]["data"]["seq"])


def found(client: Elasticsearch) -> dict[str, int]:
    """Return id and number of every event that is stored; fail where an id, or a number, is there twice."""
    hits = [(hit["_id"], number_of(hit["_source"])) for hit in stored(client)]
    twice = {name: times for name, times in Counter(name for name, _ in hits).items() if times > 1}
    assert not twice, f"ids stored more than once: {dict(list(twice.items())[:5])}"
    again = {number: times for number, times in Counter(number for _, number in hits).items() if times > 1}
    assert not again, f"events stored under more than one id: {dict(list(again.items())[:5])}"
    return dict(hits)


def same(expected: Mapping[str, int], actual: Mapping[str, int]) -> None:
    """Fail unless exactly the expected events are there, by id and by number."""
    lost = {name: number for name, number in expected.items() if actual.get(name) != number}
    strange = {name: number for name, number in actual.items() if name not in expected}
    assert not lost, f"{len(lost)} of {len(expected)} events are lost, such as {dict(list(lost.items())[:5])}"
    assert not strange, f"{len(strange)} events were never durable, such as {dict(list(strange.items())[:5])}"


def same_numbers(expected: Collection[int], actual: Mapping[str, int]) -> None:
    """Fail unless exactly the events with the expected numbers are there."""
    numbers = set(actual.values())
    lost = sorted(set(expected) - numbers)
    strange = sorted(numbers - set(expected))
    assert not lost, f"{len(lost)} of {len(expected)} events are lost, such as {lost[:5]}"
    assert not strange, f"{len(strange)} events were never written, such as {strange[:5]}"


def of_file(path: Path, home: Path) -> dict[str, int]:
    """Return id and number of each event of a file, read at once and without a crash; each line is one of them."""
    key = load_keys(home / "keys").identity
    known = {
        record.event_id: int(record.event["context"]["seq"])  # type: ignore[index]
        for batch in FileSource([path], format_factory("json"), key, {}, threading.Event()).batches()
        for record in batch.records
        if record.event_id is not None
    }
    written = [json.loads(line)["context"]["seq"] for line in path.read_text().splitlines()]
    assert sorted(known.values()) == sorted(written), "the source itself leaves events out, or doubles them"
    return known


def of_spools(home: Path) -> dict[str, int]:
    """Return id and number of each event that the spools of a home hold, leaving the spools as they are."""
    durable: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in (home / "spool").glob("*.db"):
            for suffix in (".db", ".db-wal"):
                if path.with_suffix(suffix).exists():
                    shutil.copyfile(path.with_suffix(suffix), Path(folder) / f"copy{suffix}")
            db = sqlite3.connect(Path(folder) / "copy.db")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            for (body,) in db.execute("SELECT body FROM chunk") if version else ():
                for lines in lines_of(body):
                    _, name, document = event_of(lines)
                    assert name not in durable, f"{name} is in the spools twice"
                    durable[name] = number_of(document)
            db.close()
            for leftover in Path(folder).iterdir():
                leftover.unlink()
    return durable


def positions(home: Path) -> list[str]:
    """Return the names of the positions that file readers have stored."""
    db = sqlite3.connect(home / "spool/files-1.db")
    try:
        return [name for (name,) in db.execute("SELECT source FROM position")]
    except sqlite3.OperationalError:
        return []  # not made yet
    finally:
        db.close()


def count(client: Elasticsearch) -> int:
    """Return how many events are stored."""
    client.indices.refresh(index=LOGS)
    return int(client.options(ignore_status=[404, 503]).count(index=LOGS).get("count", 0))
