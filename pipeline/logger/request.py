"""What is known of the request that is being served, for every event that is logged while it is.

Invariants: a context belongs to one request and is found through a `ContextVar`, so that concurrent requests
never see each other's, in threads, in asyncio tasks and in the thread pools that copy the context; what a
caller of `security.log(…)` says itself wins over it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class RequestContext:
    """The request's address, user agent and trace, and its user once that is known."""

    ip: str | None = None
    user_agent: str | None = None
    trace_id: str | None = None
    user_id: object = None
    email: str | None = None

    def fields(self) -> dict[str, object]:
        """Return what is known, by ECS name."""
        known = {
            "source.address": self.ip,
            "user_agent.original": self.user_agent,
            "trace.id": self.trace_id,
            "user.id": self.user_id,
            "user.email": self.email,
        }
        return {name: value for name, value in known.items() if value is not None}


CURRENT: ContextVar[RequestContext | None] = ContextVar("siemlite_request", default=None)


def bind_user(user_id: object, email: str | None = None) -> bool:
    """Name the user of the current request for the events that follow; return whether there is a request."""
    context = CURRENT.get()
    if context is None:
        return False
    context.user_id = user_id
    if email is not None:
        context.email = email
    return True


@contextmanager
def request_context(
    *,
    ip: str | None = None,
    user_agent: str | None = None,
    trace_id: str | None = None,
    user_id: object = None,
    email: str | None = None,
) -> Iterator[RequestContext]:
    """Offer a context to the events logged inside, for work that no middleware surrounds (a job, a consumer)."""
    context = RequestContext(ip, user_agent, trace_id, user_id, email)
    token = CURRENT.set(context)
    try:
        yield context
    finally:
        with suppress(ValueError):  # A generator may be ended in a copy of the context that it was begun in.
            CURRENT.reset(token)
