"""`siemlite check`: what is wrong is named before it is missed."""

import json
from pathlib import Path

import pytest

from tests.command import environment, siemlite


def found(home: Path, **settings: str) -> dict[str, tuple[str, str]]:
    """Return what `siemlite check` says, by subject, where no Elasticsearch answers."""
    done = siemlite(environment(home, ELASTICSEARCH_URL="http://127.0.0.1:9", **settings), "check", "--json")
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["subject"]: (line["verdict"], line["text"]) for line in lines}


def test_settings_of_the_logger_are_looked_at(tmp_path: Path) -> None:
    told = found(tmp_path, SIEMLITE_TRUSTED_PROXIES="x", SIEMLITE_SECURITY_LOG=str(tmp_path))
    assert told["settings"][0] == "wrong"
    assert "SIEMLITE_TRUSTED_PROXIES: 'x'" in told["settings"][1]
    assert told["SIEMLITE_SECURITY_LOG"] == ("wrong", f"{tmp_path} cannot be written by this user; name another file")
    log = tmp_path / "security.log"
    told = found(tmp_path, SIEMLITE_TRUSTED_PROXIES="10.0.0.0/8", SIEMLITE_SECURITY_LOG=str(log))
    assert "settings" not in told
    assert told["SIEMLITE_SECURITY_LOG"][0] == "ok"
    assert not log.exists()
    told = found(tmp_path, SIEMLITE_PSEUDONYMISE="customer")
    assert told["settings"][0] == "wrong"
    assert "SIEMLITE_PSEUDONYMISE: 'customer'" in told["settings"][1]


@pytest.mark.parametrize("name", ["SIEMLITE_EMAIL_TO", "SIEMLITE_EMAIL_FROM"])
def test_mail_without_a_server_is_named(tmp_path: Path, name: str) -> None:
    verdict, text = found(tmp_path, **{name: "soc@example.org"})["channels"]
    assert verdict == "wrong"
    assert "SIEMLITE_SMTP_HOST" in text


def test_a_home_that_cannot_be_written_to_keeps_nothing_else_from_being_looked_at(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    told = found(tmp_path)
    assert told["spools"][0] == "wrong"
    assert told["spools"][1].startswith(f"SIEMLITE_HOME: {tmp_path / 'spool'} cannot be made")
    assert {"Elasticsearch", "detections", "channels"} <= set(told)
