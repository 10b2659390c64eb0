"""What must be there before anything is sent: the index template, without which Elasticsearch guesses the mapping.

Invariant: the template is looked for again after each trouble, and now and then: a cluster may be emptied, restored,
or another take its place.
"""

from collections.abc import Callable

from elasticsearch import Elasticsearch

from pipeline.clock import Clock
from pipeline.elastic.client import ForbiddenError
from pipeline.elastic.templates import logs_template_ready
from pipeline.errors import PermanentError, RetryableError

BELIEVED_SECONDS = 30.0
"""How long the template is believed to be there without a look."""


class Gate:
    """Looks with `client`; `notify` is told where that is not allowed."""

    def __init__(self, client: Elasticsearch, clock: Clock, notify: Callable[[str], None]) -> None:
        self._client = client
        self._clock = clock
        self._notify = notify
        self._believed_until = 0.0
        self._may_look = True

    def pass_through(self) -> None:
        """Raise `RetryableError` where the template is missing, or cannot be looked for now."""
        now = self._clock.monotonic()
        if not self._may_look or now < self._believed_until:
            return
        try:
            if not logs_template_ready(self._client):
                raise RetryableError("the index template is missing; run `siemlite setup`")
            self._believed_until = now + BELIEVED_SECONDS
        except ForbiddenError:
            self._notify("these credentials may not look for the index template; trusting that `siemlite setup` ran")
            self._may_look = False
        except PermanentError as error:  # whatever it is, nothing may be sent before the template was seen
            raise RetryableError(str(error)) from error

    def doubt(self) -> None:
        """Look again before the next request."""
        self._believed_until = 0.0
