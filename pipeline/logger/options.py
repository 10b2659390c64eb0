"""The options that both kinds of middleware pass on."""

from collections.abc import Collection, Iterable
from typing import TypedDict


class WatchOptions(TypedDict, total=False):
    """See `pipeline.logger.web.Watch`."""

    trusted_proxies: Iterable[str] | None
    forwarded_header: str
    body: bool
    body_bytes: int
    exclude: Collection[str]
