"""The generic webhook's signature, and what a receiver can tell from it."""

import hashlib
import hmac

import pytest
from pydantic import SecretStr

from pipeline.delivery.channels.webhook import channel, document
from pipeline.errors import ConfigurationError
from pipeline.settings import load_settings
from tests.unit.clocks import ManualClock
from tests.unit.delivery.notices import HOSTILE, ORDINARY
from tests.unit.delivery.receiver import receiver


def test_the_receiver_can_verify_who_sent_it_and_when() -> None:
    clock = ManualClock()
    with receiver() as server:
        settings = load_settings(
            None, siemlite_webhook_url=SecretStr(server.url), siemlite_webhook_secret=SecretStr("k3y-of-the-hook")
        )
        made = channel(settings, clock)
        assert made is not None
        made.send(HOSTILE)
        made.close()
        [request] = server.requests
    stamp, _, signature = request.headers["Siemlite-Signature"].partition(",v1=")
    assert stamp == f"t={clock.now_ms() // 1000}"
    signed = stamp.removeprefix("t=").encode() + b"." + request.body
    assert hmac.compare_digest(signature, hmac.new(b"k3y-of-the-hook", signed, hashlib.sha256).hexdigest())
    assert request.headers["Siemlite-Delivery"] == HOSTILE.delivery_id
    assert request.json["group"]["user.name"] == dict(HOSTILE.group)["user.name"]


def test_an_unsigned_webhook_is_refused() -> None:
    settings = load_settings(None, siemlite_webhook_url=SecretStr("http://127.0.0.1:1/"))
    with pytest.raises(ConfigurationError, match="SIEMLITE_WEBHOOK_SECRET"):
        channel(settings, ManualClock())


def test_without_an_address_there_is_no_channel() -> None:
    assert channel(load_settings(None), ManualClock()) is None


def test_the_document_says_all_there_is() -> None:
    said = document(ORDINARY)
    assert said["alert"] == ORDINARY.alert_id
    assert (said["action"], said["severity"], said["count"]) == ("open", "high", 23)
    assert said["links"] == {"alert": ORDINARY.links[0].url}
