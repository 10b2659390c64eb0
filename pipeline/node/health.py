"""Asking a local server whether it is healthy, and which process it is.

Invariant: only a server whose process belongs to the expected process group counts; another one that took the
port meanwhile does not. Proxies of the environment are never asked.
"""

import os

import httpx

_TIMEOUT = httpx.Timeout(3.0)


def healthy_pid(url: str, group: int, status: str) -> int | None:
    """Return the server's process id if it is at least `status` (`green`, `yellow`, `red`), else None.

    `group` is the process group that the server was started in.
    """
    try:
        # Plain HTTP: loading certificates would cost 30 ms at each look.
        with httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False, verify=False) as http:  # noqa: S501
            # `GET /` is missing from the embedded build.
            healthy = http.get("/_cluster/health", params={"wait_for_status": status, "timeout": "1s"})
            if healthy.status_code != httpx.codes.OK:
                return None
            told = http.get("/_nodes/_local/process", params={"filter_path": "nodes.*.process.id"})
            if told.status_code != httpx.codes.OK:
                return None
            pids = [int(node["process"]["id"]) for node in told.json()["nodes"].values()]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not up, or not Elasticsearch
    return next((pid for pid in pids if _group_of(pid) == group), None)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
