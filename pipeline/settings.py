"""What an operator can set, by environment variable or `.env` file.

Invariants: a secret is a `SecretStr`, so that no log line, error or traceback shows it; an unknown
`SIEMLITE_` name is refused with the nearest known one; a wrong value is refused by its variable's name
and never by its content.
"""

import difflib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import platformdirs
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipeline.errors import ConfigurationError

PREFIX = "SIEMLITE_"
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LEVELS = ("debug", "info", "warning", "error")
_LONGEST_MS = 36_525 * 86_400_000
_UNITS_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def duration_ms(text: object) -> object:
    """Read `90s`, `5m`, `24h`, `7d`, `250ms` (a bare number is seconds) as milliseconds."""
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", text)
    if match is None:
        raise ValueError("is not a duration such as 90s, 5m, 24h or 7d")
    found = float(match[1]) * _UNITS_MS[match[2] or "s"]
    if found > _LONGEST_MS:
        raise ValueError("is longer than 100 years")
    return round(found)


def byte_size(text: object) -> object:
    """Read `512m`, `2g`, `1048576` as bytes."""
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*([kmg]?)(?:i?b)?\s*", text.lower())
    if match is None:
        raise ValueError("is not a size such as 512m or 2g")
    return int(match[1]) * _UNITS_BYTES[match[2]]


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of `host:port` or `[host]:port`. Raises `ValueError`."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ValueError("is not an address such as 127.0.0.1:9108")
    return host, int(port)


def _address(text: str) -> str:
    host_and_port(text)
    return text


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _level(text: str) -> str:
    if text not in _LEVELS:
        raise ValueError(f"is not one of {', '.join(_LEVELS)}")
    return text


def _at_least(least: str) -> AfterValidator:
    """Return what refuses durations that are shorter than `least`."""
    least_ms = duration_ms(least)

    def long_enough(found: int) -> int:
        if not isinstance(least_ms, int) or found < least_ms:
            raise ValueError(f"is shorter than {least}")
        return found

    return AfterValidator(long_enough)


def _words(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port)
    except ValueError:
        well_formed = False
    if not well_formed or any(c.isspace() for c in url):
        raise ValueError("is not a URL such as https://elastic.example.org:9200")
    return url


def _secret_http_url(url: SecretStr) -> SecretStr:
    _http_url(url.get_secret_value())
    return url


Duration = Annotated[int, BeforeValidator(duration_ms), Field(ge=0)]
Size = Annotated[int, BeforeValidator(byte_size), Field(ge=0)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Address = Annotated[str, AfterValidator(_address)]
Place = Annotated[Path, AfterValidator(Path.absolute)]
"""Stays where it is when the process goes to another folder, as daemons do."""

Url = Annotated[str, AfterValidator(_http_url)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_http_url)]


def _default_home() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/siemlite")
    try:
        return platformdirs.user_data_path("siemlite")
    except RuntimeError:
        raise ConfigurationError("SIEMLITE_HOME is not set, and this user has no home folder: set it") from None


def _default_cache() -> Path:
    if os.geteuid() == 0:
        return platformdirs.site_cache_path("siemlite")
    try:
        return platformdirs.user_cache_path("siemlite")
    except RuntimeError:
        home = os.environ.get("SIEMLITE_HOME")
        if home:
            return Path(home, "cache")
        raise ConfigurationError("SIEMLITE_CACHE is not set, and this user has no home folder: set it") from None


class Settings(BaseSettings):
    """Every setting, by the lower-case form of its variable's name."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    elasticsearch_url: Url | None = Field(None, description="Elasticsearch; unset means the embedded node")
    es_user: str | None = Field(None, description="user name for Elasticsearch")
    es_password: SecretStr | None = Field(None, description="password for `ES_USER`")
    es_api_key: SecretStr | None = Field(None, description="API key for Elasticsearch, instead of user and password")
    es_ca_certs: Path | None = Field(
        None, description="file of the certificate authorities that Elasticsearch's is checked with"
    )
    slack_webhook: SecretUrl | None = Field(None, description="Slack incoming webhook that alerts go to")
    pagerduty_key: SecretStr | None = Field(None, description="routing key of a PagerDuty Events API v2 integration")

    siemlite_home: Place = Field(
        default_factory=_default_home, description="what this machine keeps: node, spools, keys"
    )
    siemlite_cache: Path = Field(default_factory=_default_cache, description="downloads, shared by all homes")
    siemlite_detections: Path | None = Field(
        None, description="folder of your own detections, beside the built-in ones"
    )
    siemlite_redact_keys: Words = Field((), description="further keys to redact, comma-separated")
    siemlite_pseudonymise: Words = Field((), description="fields replaced by a keyed hash that still groups and joins")
    siemlite_measure: Words = Field(
        ("rows",), description="metadata whose numbers are also kept as `siemlite.number.*`"
    )
    siemlite_geoip: Words = Field(
        (), description="MaxMind DB files (City or Country, ASN) that fill `source.geo.*` and `source.as.*`"
    )
    siemlite_retention: Duration = Field(
        90 * 86_400_000,
        description="age after which a live event is dated at receipt; nothing is deleted",
    )
    siemlite_interval: Annotated[Duration, _at_least("100ms")] = Field(
        2_000, description="time between two passes of the scheduler"
    )
    siemlite_late_horizon: Duration = Field(
        86_400_000, description="how late an event may arrive and still be evaluated"
    )
    siemlite_page_max_age: Duration = Field(
        3_600_000, description="crossings found later than this reach people as one digest"
    )
    siemlite_storm: int = Field(
        20, ge=1, description="new alerts of one detection in a pass above which they become one roll-up"
    )
    siemlite_pagerduty_url: Url = Field(
        "https://events.pagerduty.com/v2/enqueue", description="PagerDuty's Events API v2"
    )
    siemlite_pagerduty_severities: Words = Field(("critical",), description="severities that go to PagerDuty")
    siemlite_webhook_url: SecretUrl | None = Field(None, description="generic webhook that alerts go to, signed")
    siemlite_webhook_secret: SecretStr | None = Field(
        None, description="key of the HMAC-SHA256 signature on what goes to `SIEMLITE_WEBHOOK_URL`"
    )
    siemlite_smtp_host: str | None = Field(None, description="mail server that alerts are sent through, with STARTTLS")
    siemlite_smtp_port: int = Field(587, ge=1, le=65535, description="port of the mail server")
    siemlite_smtp_user: str | None = Field(None, description="user name for the mail server")
    siemlite_smtp_password: SecretStr | None = Field(None, description="password for `SIEMLITE_SMTP_USER`")
    siemlite_smtp_ca_certs: Path | None = Field(
        None, description="file of the certificate authorities that the mail server's is checked with"
    )
    siemlite_email_from: str | None = Field(None, description="sender of alerts by e-mail")
    siemlite_email_to: Words = Field((), description="recipients of alerts by e-mail, comma-separated")
    siemlite_routes: str = Field(
        "", description="which alerts go to which channel, such as `email: severity>=high; webhook: tag=pci`"
    )
    siemlite_heartbeat_url: SecretUrl | None = Field(
        None, description="dead-man's-switch address that the scheduler calls while its passes succeed"
    )
    siemlite_heartbeat_interval: Annotated[Duration, _at_least("1s")] = Field(
        60_000, description="time between two heartbeats"
    )
    siemlite_health: Address | None = Field(
        None, description="address for `/healthz`, `/readyz` and `/metrics`, such as 127.0.0.1:9108"
    )
    siemlite_canary: Annotated[Duration, _at_least("1s")] | None = Field(
        None, description="how often the scheduler plays one detection's drill against itself, such as 5m"
    )
    siemlite_kibana_url: Url | None = Field(None, description="Kibana, for links in alerts")
    siemlite_spool_max_bytes: Size = Field(1024**3, ge=1024**2, description="largest size of one spool")
    siemlite_queue_max_bytes: Size = Field(
        32 * 1024**2, ge=64 * 1024, description="memory for events of an application that are not yet in its spool"
    )
    siemlite_security_log: Place | None = Field(
        None, description="file that security loggers also write, one JSON document a line"
    )
    siemlite_security_log_max_bytes: Size = Field(
        10 * 1024**2, ge=1024, description="size at which `SIEMLITE_SECURITY_LOG` is rotated"
    )
    siemlite_security_log_backups: int = Field(
        5, ge=1, le=1000, description="rotated files of `SIEMLITE_SECURITY_LOG` that are kept"
    )
    siemlite_console: bool = Field(False, description="whether security loggers also write to standard error")
    siemlite_ship_in_process: bool = Field(
        False, description="whether an application sends what it logs itself, without `siemlite ship` beside it"
    )
    siemlite_trusted_proxies: Words = Field(
        (), description="addresses and networks of proxies whose forwarding header is believed; `unix` for a socket"
    )
    siemlite_log_level: Annotated[str, BeforeValidator(_lower), AfterValidator(_level)] = Field(
        "info", description="what siemlite's own log on stderr says: debug, info, warning or error"
    )

    @cached_property
    def spool_folder(self) -> Path:
        """Where every spool of this home lies."""
        return self.siemlite_home / "spool"

    @cached_property
    def keys_folder(self) -> Path:
        """Where this installation's keys lie."""
        return self.siemlite_home / "keys"


def variable_names() -> tuple[str, ...]:
    """Return the names of all variables, in the order of the README."""
    return tuple(name.upper() for name in Settings.model_fields)


def load_settings(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """Read the settings from the environment and `env_file`; `overrides` win over both.

    Raises `ConfigurationError` that names the variable and the repair.
    """
    try:
        _refuse_unknown_names(env_file)
        return Settings(_env_file=env_file, **overrides)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{env_file} cannot be read: it is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{env_file} cannot be read: {reason}; let this user read it, or move it") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        problem = first["msg"].removeprefix("Value error, ")
        hint = Settings.model_fields[name.lower()].description if name.lower() in Settings.model_fields else ""
        joint = " " if problem.startswith("is ") else ": "
        raise ConfigurationError(f"{name}{joint}{problem} ({hint})") from None


def _refuse_unknown_names(env_file: Path | None) -> None:
    known = set(variable_names())
    given = set(os.environ)
    if env_file is not None and env_file.is_file():
        with env_file.open(encoding="utf-8") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    line = binding.original.line
                    raise ConfigurationError(
                        f"{env_file}:{line} cannot be read: is a quote left open? Correct the line"
                    )
        given |= set(dotenv_values(env_file))
    for name in sorted(given):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
            raise ConfigurationError(f"{name} is not a setting of siemlite; did you mean {near[0]}? Unset or rename it")
