"""Keys and folders of a home."""

import stat
import threading
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.shipping.home import Keys, load_keys, private_folder


def test_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "keys")
    assert load_keys(tmp_path / "keys") == keys
    assert len({keys.identity, keys.pseudonym, keys.drill}) == 3
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "identity" not in repr(keys)


def test_threads_that_start_together_agree_on_the_keys(tmp_path: Path) -> None:
    found: list[Keys] = []
    threads = [threading.Thread(target=lambda: found.append(load_keys(tmp_path / "keys"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["drill.key", "identity.key", "pseudonym.key"]


def test_a_damaged_key_is_named_and_never_replaced(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / "drill.key").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match=r"drill\.key is not a key of 32 bytes"):
        load_keys(tmp_path)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME"):
        private_folder(tmp_path / "file" / "home")
