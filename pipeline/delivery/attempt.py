"""One attempt to send one message, whatever the channel does."""

import logging

from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure

_log = logging.getLogger(__name__)


def attempt(channel: Channel, notice: Notice) -> Failure | None:
    """Send `notice`; return why it did not go out, or `None` where it did."""
    try:
        channel.send(notice)
    except SendError as error:
        return error.failure
    except Exception as error:  # noqa: BLE001 - a third party's channel may raise anything, secrets in its text
        reason = f"unforeseen: {type(error).__name__}"
        _log.error("the channel %s failed in a way that it does not foresee: %s", channel.name, type(error).__name__)
        return Failure(reason)
    return None
