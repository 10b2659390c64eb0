"""Settings: what is wrong with them is said by name, with the repair, and without what they hold."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.settings import load_settings


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
