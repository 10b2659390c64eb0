"""Events as the shipper stores them, put straight into a real Elasticsearch."""

from datetime import UTC, datetime
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.events.values import instant_text


def fail_logins(client: Elasticsearch, address: str, instants: list[int]) -> None:
    """Store one LOGIN_FAILURE from `address` for each instant (ms since the epoch)."""
    operations: list[dict[str, Any]] = []
    for number, time_ms in enumerate(instants):
        event_id = f"{address}-{time_ms}-{number}"
        day = datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y.%m.%d")
        operations.append({"create": {"_index": f"security-logs-{day}", "_id": event_id}})
        operations.append(
            {
                "@timestamp": instant_text(time_ms),
                "event": {"code": "LOGIN_FAILURE", "id": event_id, "kind": "event"},
                "source": {"address": address, "ip": address},
            }
        )
    answer = client.bulk(operations=operations)
    assert not answer["errors"], answer
