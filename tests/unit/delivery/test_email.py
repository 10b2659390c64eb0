"""Mail: protected on its way, and never shaped by what it is about."""

import email
import email.policy
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from pipeline.alerts.outbox import Action
from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.channels.email import EmailChannel, channel
from pipeline.delivery.channels.email import MailServer as SmtpServer
from pipeline.delivery.retry import Failure
from pipeline.errors import ConfigurationError
from pipeline.settings import load_settings
from tests.unit.clocks import ManualClock
from tests.unit.delivery.dripping import dripping
from tests.unit.delivery.mail_server import MailServer, mail_server
from tests.unit.delivery.notices import HOSTILE, ORDINARY


@dataclass
class Authority:
    """A certificate authority, and a server's context with a certificate of it."""

    file: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return Authority(file, context)


@pytest.fixture
def server(authority: Authority) -> Iterator[MailServer]:
    with mail_server(authority.server) as state:
        yield state


def channel_to(server: MailServer, ca: Path | None, **settings: Any) -> Channel:
    made = channel(
        load_settings(
            None,
            siemlite_smtp_host="localhost",
            siemlite_smtp_port=server.port,
            siemlite_smtp_ca_certs=ca,
            siemlite_email_from="siemlite@example.org",
            siemlite_email_to="soc@example.org,kim@example.org",
            **settings,
        ),
        ManualClock(),
    )
    assert made is not None
    return made


def failure_of(made: Channel) -> Failure:
    with pytest.raises(SendError) as raised:
        made.send(ORDINARY)
    return raised.value.failure


def test_a_mail_arrives_over_tls_after_a_login(server: MailServer, authority: Authority) -> None:
    made = channel_to(server, authority.file, siemlite_smtp_user="siem", siemlite_smtp_password=SecretStr("p4ssw0rd"))
    made.send(ORDINARY)
    [raw] = server.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"] == f"[HIGH] {ORDINARY.title}"
    assert mail["To"] == "soc@example.org, kim@example.org"
    assert mail["Date"] == "Sun, 15 Jun 2025 15:06:40 +0000"
    assert "source.address: 203.0.113.7" in mail.get_content()
    assert server.logins == ["\0siem\0p4ssw0rd"]
    assert server.clear.split() == [b"ehlo", server.clear.split()[1], b"STARTTLS"]


def test_text_from_events_adds_no_header(server: MailServer, authority: Authority) -> None:
    made = channel_to(server, authority.file)
    made.send(replace(HOSTILE, title="x\r\nBcc: mallory@example.org\r\n\r\nhello", action=Action.RESOLVE))
    mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("[HIGH] Resolved: x\\r\\nBcc: mallory@example.org")


def test_without_starttls_nothing_is_said(authority: Authority) -> None:
    with mail_server(authority.server, offers_tls=False) as server:
        failure = failure_of(channel_to(server, authority.file))
    assert not failure.permanent
    assert "STARTTLS" in failure.reason
    assert b"MAIL" not in server.clear.upper()


def test_a_certificate_that_nobody_trusts_is_refused(server: MailServer) -> None:
    failure = failure_of(channel_to(server, None))
    assert not failure.permanent
    assert "CERTIFICATE_VERIFY_FAILED" in failure.reason
    assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ({"RCPT": b"550 unknown"}, True),
        ({"RCPT": b"450 greylisted"}, False),
        ({"MAIL": b"451 later"}, False),
        ({"MAIL": b"554 never"}, True),
        ({"DATA": b"452 full"}, False),
        ({"AUTH": b"535 wrong"}, True),
        ({"AUTH": b"454 later"}, False),
    ],
)
def test_4xx_is_tried_again_and_5xx_never_succeeds(
    authority: Authority, answers: dict[str, bytes], permanent: bool
) -> None:
    with mail_server(authority.server, answers=answers) as server:
        made = channel_to(
            server, authority.file, siemlite_smtp_user="siem", siemlite_smtp_password=SecretStr("p4ssw0rd")
        )
        failure = failure_of(made)
    assert failure.permanent is permanent
    assert "p4ssw0rd" not in failure.reason


def test_those_who_got_a_mail_do_not_get_it_again_because_others_were_refused(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server(authority.server, answers={"rcpt TO:<kim@example.org>": b"452 full"}) as server:
        channel_to(server, authority.file).send(ORDINARY)
    assert len(server.mails) == 1
    assert [record.message for record in caplog.records] == ["email: 1 of 2 recipients are refused (452)"]


def test_a_server_that_is_not_there_is_tried_again(authority: Authority) -> None:
    assert not failure_of(channel_to(MailServer(port=1), authority.file)).permanent


def test_a_mail_that_was_taken_is_not_sent_again_for_want_of_a_goodbye(authority: Authority) -> None:
    with mail_server(authority.server, answers={"QUIT": b"421 going"}) as server:
        channel_to(server, authority.file).send(ORDINARY)
    assert len(server.mails) == 1


def test_a_server_whose_replies_never_end_is_hung_up_on() -> None:
    with dripping(b"", b"220-more\r\n", speaks_first=True) as port:
        made = EmailChannel(
            SmtpServer("localhost", port), "a@example.org", ["b@example.org"], ManualClock(), exchange_s=0.3
        )
        failure = failure_of(made)
    assert not failure.permanent


def test_a_half_configured_channel_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SIEMLITE_EMAIL_FROM"):
        channel(load_settings(None, siemlite_smtp_host="localhost"), ManualClock())
    with pytest.raises(ConfigurationError, match="SIEMLITE_SMTP_HOST"):
        channel(load_settings(None, siemlite_email_to="soc@example.org"), ManualClock())


def test_an_address_that_is_no_header_is_refused() -> None:
    settings = load_settings(
        None, siemlite_smtp_host="localhost", siemlite_email_from="a@b\nBcc: c@d", siemlite_email_to="soc@example.org"
    )
    with pytest.raises(ConfigurationError, match="SIEMLITE_EMAIL_FROM"):
        channel(settings, ManualClock())


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="SIEMLITE_SMTP_CA_CERTS"):
        channel_to(MailServer(port=1), tmp_path / "ca.pem")
