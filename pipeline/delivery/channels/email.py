"""Mail over SMTP with STARTTLS (RFC 3207).

Invariants: neither the message nor the password goes over a connection that TLS does not protect, not even
where the server, or somebody between, says that it has no STARTTLS; texts from events cannot add a header,
because a header's value is one line and the library refuses any other; a mail that was taken is not sent again because
the server does not say goodbye.
"""

import logging
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from pydantic import SecretStr

from pipeline.alerts.outbox import Action
from pipeline.clock import Clock
from pipeline.delivery.channels.base import Channel, SendError
from pipeline.delivery.channels.deadline import EXCHANGE_S, Deadline, connected
from pipeline.delivery.notice import Notice
from pipeline.delivery.retry import Failure
from pipeline.errors import ConfigurationError
from pipeline.events.values import printable
from pipeline.settings import Settings

_log = logging.getLogger(__name__)

TIMEOUT_S = 15.0
_SUBJECT_MAX = 200
_EXCERPT = 160


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and by whom."""

    host: str
    port: int
    user: str | None = None
    password: SecretStr | None = None
    ca_certs: Path | None = None


class _Session(smtplib.SMTP):
    """A session with a mail server; each reply is awaited under the deadline."""

    def __init__(self, server: MailServer, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__(server.host, server.port, timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = connected(host, port)
        connection.settimeout(timeout)
        return connection

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self._deadline.watch(self.sock)
        return super().getreply()


class EmailChannel:
    """Sends one mail, to all recipients, for every action but acknowledgements."""

    name = "email"
    actions = frozenset({Action.OPEN, Action.ESCALATE, Action.RESOLVE})
    reaches_people = True

    def __init__(
        self,
        server: MailServer,
        sender: str,
        recipients: Sequence[str],
        clock: Clock,
        *,
        exchange_s: float = EXCHANGE_S,
    ) -> None:
        """A mail may take `exchange_s` as a whole.

        Raises `ConfigurationError` where the certificate authorities cannot be read.
        """
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._clock = clock
        self._exchange_s = exchange_s
        try:
            self._tls = ssl.create_default_context(cafile=None if server.ca_certs is None else str(server.ca_certs))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"SIEMLITE_SMTP_CA_CERTS {server.ca_certs} cannot be read as certificates: {error}"
            ) from None

    def send(self, notice: Notice) -> None:
        """See `Channel.send`."""
        mail = message(notice, self._sender, self._recipients, self._clock.now_ms())
        try:
            refused = self._hand_in(mail)
        except smtplib.SMTPNotSupportedError as error:
            raise SendError(Failure(f"the mail server offers no STARTTLS or login: {error}")) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise SendError(Failure("all recipients are refused", permanent=all(c >= 500 for c in codes))) from None
        except smtplib.SMTPAuthenticationError as error:
            raise SendError(
                Failure(f"login is refused ({error.smtp_code}); check SIEMLITE_SMTP_USER", error.smtp_code >= 500)
            ) from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            reason = printable(f"SMTP {error.smtp_code}: {' '.join(said.split())[:_EXCERPT]}")
            raise SendError(Failure(self._safe(reason), permanent=500 <= error.smtp_code < 600)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise SendError(Failure(self._safe(printable(f"{type(error).__name__}: {error}")))) from None
        if refused:  # The others have it, and would get it again with each attempt.
            reasons = ", ".join(sorted({str(code) for code, _ in refused.values()}))
            _log.warning("email: %d of %d recipients are refused (%s)", len(refused), len(self._recipients), reasons)

    def _hand_in(self, mail: EmailMessage) -> Mapping[str, tuple[int, bytes]]:
        """Return the recipients whom the server refuses, which are not all of them, and its answers."""
        with Deadline(self._exchange_s) as deadline, closing(_Session(self._server, deadline)) as session:
            session.starttls(context=self._tls)
            if self._server.user is not None:
                session.login(self._server.user, self._password())
            refused = session.send_message(mail, self._sender, list(self._recipients))
            with suppress(smtplib.SMTPException, OSError):
                session.quit()
        return refused

    def close(self) -> None:
        """See `Channel.close`: a connection lasts for one mail."""

    def _safe(self, text: str) -> str:
        password = self._password()
        return text.replace(password, "[REDACTED]") if password else text

    def _password(self) -> str:
        return "" if self._server.password is None else self._server.password.get_secret_value()


def channel(settings: Settings, clock: Clock) -> Channel | None:
    """Return the channel for `SIEMLITE_SMTP_HOST`."""
    if settings.siemlite_smtp_host is None:
        if settings.siemlite_email_from is not None or settings.siemlite_email_to:
            raise ConfigurationError("SIEMLITE_EMAIL_FROM or _TO is set, and no mail server; set SIEMLITE_SMTP_HOST")
        return None
    if settings.siemlite_email_from is None or not settings.siemlite_email_to:
        raise ConfigurationError("SIEMLITE_SMTP_HOST is set; set SIEMLITE_EMAIL_FROM and SIEMLITE_EMAIL_TO as well")
    headers = EmailMessage()
    try:
        headers["From"], headers["To"] = settings.siemlite_email_from, ", ".join(settings.siemlite_email_to)
    except ValueError as error:
        raise ConfigurationError(f"SIEMLITE_EMAIL_FROM or SIEMLITE_EMAIL_TO cannot be used: {error}") from None
    server = MailServer(
        host=settings.siemlite_smtp_host,
        port=settings.siemlite_smtp_port,
        user=settings.siemlite_smtp_user,
        password=settings.siemlite_smtp_password,
        ca_certs=settings.siemlite_smtp_ca_certs,
    )
    return EmailChannel(server, settings.siemlite_email_from, settings.siemlite_email_to, clock)


def message(notice: Notice, sender: str, recipients: Sequence[str], now_ms: int) -> EmailMessage:
    """Return the mail for `notice`. Raises `ValueError` for a sender or recipient that is no header value."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = printable(notice.heading)[:_SUBJECT_MAX]
    mail["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    mail["Message-ID"] = f"<{notice.delivery_id}@siemlite.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    facts = [(name, value) for name, value in notice.group]
    facts += [
        ("Severity", notice.severity.value),
        ("Alerts", str(notice.members)) if notice.members else ("Events", str(notice.count)),
        (notice.span[0], notice.first),
        ("Crossing", notice.crossing),
        (notice.span[1], notice.last),
        ("Detection", notice.detection_id),
        ("ATT&CK", ", ".join(notice.attack)),
        ("By", " ".join(part for part in (notice.by or "", notice.note) if part)),
        ("Alert", notice.alert_id),
    ]
    lines = [notice.summary, "", *(f"{name}: {value}" for name, value in facts if value)]
    lines += ["", *notice.examples] if notice.examples else []
    lines += ["", notice.guide] if notice.guide else []
    lines += ["", *(f"{link.label}: {link.url}" for link in notice.links)] if notice.links else []
    lines += ["", f"siemlite alerts show {notice.alert_id[:12]}"]
    mail.set_content("\n".join(lines))
    return mail
