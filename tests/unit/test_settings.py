"""Settings: what is wrong with them is said by name, with the repair, and without what they hold."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.settings import host_and_port, load_settings


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes("ES_PASSWORD=geheimnisgröße\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read: it is not UTF-8; save it as UTF-8") as caught:
        load_settings(path)
    assert "geheimnis" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("SIEMLITE_STORM=7\n")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)  # root may read whatever its mode says
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read: Permission denied; let this user read it"):
        load_settings(path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        *(
            ("SIEMLITE_HEALTH", address, "is not an address such as 127.0.0.1:9108")
            for address in ("9108", "localhost", "localhost:", ":9108", "localhost:http", "localhost:99999")
        ),
        ("SIEMLITE_LOG_LEVEL", "loud", "is not one of debug, info, warning, error"),
        ("SIEMLITE_RETENTION", "9" * 400 + "d", "is longer than 100 years"),
        ("SIEMLITE_RETENTION", "36526d", "is longer than 100 years"),
        ("SIEMLITE_INTERVAL", "99ms", "is shorter than 100ms"),
        ("SIEMLITE_CANARY", "0", "is shorter than 1s"),
        ("SIEMLITE_HEARTBEAT_INTERVAL", "900ms", "is shorter than 1s"),
        ("ELASTICSEARCH_URL", "http://[::1:9200", "is not a URL such as"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name} {said}"):
        load_settings(None)


def test_a_level_is_understood_in_capitals_and_an_address_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIEMLITE_LOG_LEVEL", "INFO")
    monkeypatch.setenv("SIEMLITE_HEALTH", "[::1]:9108")
    settings = load_settings(None)
    assert settings.siemlite_log_level == "info"
    assert host_and_port(str(settings.siemlite_health)) == ("::1", 9108)


def test_a_user_without_a_home_folder_needs_to_set_one_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_name: str) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    monkeypatch.setattr("platformdirs.user_data_path", nowhere)
    monkeypatch.setattr("platformdirs.user_cache_path", nowhere)
    monkeypatch.delenv("SIEMLITE_CACHE", raising=False)
    monkeypatch.setenv("SIEMLITE_HOME", str(tmp_path))
    assert load_settings(env_file=None).siemlite_home == tmp_path
    monkeypatch.delenv("SIEMLITE_HOME")
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME is not set, and this user has no home folder: set it"):
        load_settings(env_file=None)


def test_a_line_of_the_file_that_cannot_be_read_is_named_by_number_and_not_by_content(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('SIEMLITE_STORM=7\nSLACK_WEBHOOK="https://hooks.example.org/geheim\nSIEMLITE_STORM=8\n')
    with pytest.raises(ConfigurationError, match=r"\.env:2 cannot be read: is a quote left open\?") as caught:
        load_settings(path)
    assert "geheim" not in str(caught.value)


def test_a_home_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, siemlite_home="here", siemlite_security_log="security.log")
    monkeypatch.chdir("/")
    assert settings.spool_folder == tmp_path / "here" / "spool"
    assert settings.siemlite_security_log == tmp_path / "security.log"
