"""What an application imports to log security events. It opens a spool, and nothing else.

Invariant: nothing here imports Elasticsearch, the scheduler or the command line, and importing the package
itself loads none of its modules until a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.logger.asgi import SecurityASGIMiddleware as SecurityASGIMiddleware
    from pipeline.logger.handler import SecurityHandler as SecurityHandler
    from pipeline.logger.request import bind_user as bind_user
    from pipeline.logger.request import request_context as request_context
    from pipeline.logger.security import SecurityLogger as SecurityLogger
    from pipeline.logger.structured import security_processor as security_processor
    from pipeline.logger.wsgi import SecurityWSGIMiddleware as SecurityWSGIMiddleware

_HOMES = {
    "SecurityASGIMiddleware": "asgi",
    "SecurityHandler": "handler",
    "SecurityLogger": "security",
    "SecurityWSGIMiddleware": "wsgi",
    "bind_user": "request",
    "request_context": "request",
    "security_processor": "structured",
}

__all__ = [
    "SecurityASGIMiddleware",
    "SecurityHandler",
    "SecurityLogger",
    "SecurityWSGIMiddleware",
    "bind_user",
    "request_context",
    "security_processor",
]


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
