"""Lines of a real attack become alerts that reach a webhook: each true episode once, and nothing else."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from pipeline.elastic.client import connect
from pipeline.settings import Settings
from tests.acceptance.truth import MINUTE, Attempt, attempts, episodes
from tests.command import environment, running, siemlite
from tests.webhook import Webhook, webhook

LOG = Path(__file__).parents[3] / "shared" / "data" / "OpenSSH_2k.log"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 60 * MINUTE
BRUTE_FORCE, SUSPICIOUS, SPRAYING = RULES = ("brute_force_by_address", "suspicious_address", "password_spraying")

pytestmark = pytest.mark.skipif(not LOG.exists(), reason="the OpenSSH log of loghub is not beside this checkout")


def dated() -> list[tuple[datetime, str]]:
    lines = LOG.read_text().splitlines()
    return [(datetime.strptime(f"2015 {line[:15]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC), line) for line in lines]


def in_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def truth(events: list[Attempt]) -> set[tuple[str, str, int, int]]:
    """Return (the detection's id, address, first crossing, last crossing) of every true episode."""
    rules = {
        BRUTE_FORCE: episodes(events, at_least=5, within=15 * MINUTE, quiet=HOUR),
        SUSPICIOUS: episodes(events, at_least=10, within=HOUR, quiet=HOUR),
        SPRAYING: episodes(events, at_least=10, within=HOUR, quiet=4 * HOUR, distinct=True),
    }
    return {(name, *episode) for name, found in rules.items() for episode in found}


def raised(client: Elasticsearch) -> list[tuple[str, str, int, int]]:
    """Return the same of every alert in the index, for the detections of `truth`."""
    client.indices.refresh(index="security-alerts")
    hits = client.search(index="security-alerts", size=1000)["hits"]["hits"]
    found = []
    for hit in hits:
        alert: dict[str, Any] = hit["_source"]
        if alert["rule"]["id"] in RULES:
            episode = alert["siemlite"]["episode"]
            first, last = (in_ms(datetime.fromisoformat(episode[key])) for key in ("first", "last"))
            found.append((alert["rule"]["id"], alert["source"]["address"], first, last))
    return found


def has_events(client: Elasticsearch, count: int) -> bool:
    """Return whether so many are searchable; an index that is just being made answers 404 or 503."""
    answer = client.options(ignore_status=[404, 503]).count(index="security-logs-*")
    return bool(answer.get("count", 0) >= count)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running_hook:
        yield running_hook


def test_history_gives_each_true_episode_one_alert_and_one_message(es_url: str, hook: Webhook, tmp_path: Path) -> None:
    env = environment(tmp_path, ELASTICSEARCH_URL=es_url, SLACK_WEBHOOK=hook.url)
    client = connect(Settings(_env_file=None), es_url)
    ship = ("ship", "--format", "authlog", "--year", "2015", str(LOG))
    detect = ("detect", "--from", "2015-12-10", "--to", "2015-12-11")

    assert siemlite(env, "setup").returncode == 0
    shipped = siemlite(env, *ship)
    assert shipped.returncode == 0, shipped.stderr
    client.indices.refresh(index="security-logs-*")
    counted = Counter(
        {
            bucket["key"]: bucket["doc_count"]
            for bucket in client.search(
                index="security-logs-*", size=0, aggs={"codes": {"terms": {"field": "event.code"}}}
            )["aggregations"]["codes"]["buckets"]
        }
    )
    assert counted["LOGIN_FAILURE"] == 532
    assert counted["LOGIN_SUCCESS"] == 1
    first_count = client.count(index="security-logs-*")["count"]
    assert first_count == 2000 + 8, "two lines are five events each; every other line is one"

    detected = siemlite(env, *detect)
    assert detected.returncode == 0, detected.stderr
    expected = truth(attempts((in_ms(moment), line) for moment, line in dated()))
    assert len(expected) > 20
    found = raised(client)
    assert sorted(found) == sorted(expected)
    total = client.count(index="security-alerts")["count"]
    assert len(hook.received) == total, "each alert reaches the webhook exactly once"

    again = siemlite(env, *ship)
    assert again.returncode == 0, again.stderr
    client.indices.refresh(index="security-logs-*")
    assert client.count(index="security-logs-*")["count"] == first_count
    assert siemlite(env, *detect).returncode == 0
    assert sorted(raised(client)) == sorted(expected)
    assert len(hook.received) == total


def test_the_daemon_finds_the_same_in_lines_that_arrive_while_it_runs(
    es_url: str, hook: Webhook, tmp_path: Path
) -> None:
    lines = dated()
    shift = datetime.now(tz=UTC).replace(microsecond=0) - lines[-1][0]
    moved = [(moment + shift, f"{(moment + shift).isoformat()} {line[16:]}") for moment, line in lines]
    expected = truth(attempts((in_ms(moment), line) for moment, line in moved))
    env = environment(
        tmp_path,
        ELASTICSEARCH_URL=es_url,
        SLACK_WEBHOOK=hook.url,
        SIEMLITE_INTERVAL="500ms",
        SIEMLITE_PAGE_MAX_AGE="24h",
        SIEMLITE_STORM="1000",
    )
    client = connect(Settings(_env_file=None), es_url)
    assert siemlite(env, "setup").returncode == 0
    log = tmp_path / "auth.log"
    log.write_text("")
    with (
        running(env, "scheduler") as scheduler,
        running(env, "ship", "--follow", "--format", "authlog", str(log)) as shipper,
    ):
        for at in range(0, len(moved), 250):
            with log.open("a") as file:
                file.writelines(f"{line}\n" for _, line in moved[at : at + 250])
            shipper.until(
                partial(has_events, client, min(at + 250, len(moved))),
                "the lines are searchable",
            )

        def complete() -> bool:
            answer = client.options(ignore_status=[404, 503]).count(index="security-alerts")
            return bool(answer.get("count")) and sorted(raised(client)) == sorted(expected)

        scheduler.until(complete, "every true episode has its alert and no other")
        total = client.count(index="security-alerts")["count"]
        scheduler.until(lambda: len(hook.received) >= total, "every alert is delivered")
        scheduler.process.terminate()
        assert scheduler.ends() == 0
        shipper.process.terminate()
        assert shipper.ends() == 0
    assert len(hook.received) == total
