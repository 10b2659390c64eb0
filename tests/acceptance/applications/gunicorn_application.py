"""An application for gunicorn with `preload_app`: it logs in the master before any worker is forked."""

import os
from collections.abc import Iterable
from typing import Any

from pipeline import SecurityEvent, SecurityLogger
from pipeline.logger import SecurityWSGIMiddleware

security = SecurityLogger(service="shop")
for number in range(20):
    security.log(SecurityEvent.CONFIG_CHANGE, number=number)


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    security.log(SecurityEvent.ADMIN_ACTION, number=int(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


application = SecurityWSGIMiddleware(answer, security=security)
