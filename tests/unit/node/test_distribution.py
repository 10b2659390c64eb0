"""An installed server is complete, and only the pinned one is installed."""

import errno
import os
import stat
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError, PermanentError
from pipeline.node import distribution
from pipeline.node.distribution import NAME, install, installed, unpack


def make_archive(path: Path, members: dict[str, tuple[bytes, int]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, (content, mode) in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(
        tmp_path / "server.zip",
        {
            f"{NAME}/bin/elasticsearch": (b"#!/bin/bash\n", 0o100755),
            f"{NAME}/config/jvm.options": (b"-Xmx1g\n", 0o100660),
            f"{NAME}/lib/": (b"", 0o040755),
        },
    )


def test_the_address_on_maven_central_follows_from_the_coordinates() -> None:
    url = distribution.url()
    assert url.startswith("https://")
    assert url.endswith(
        "/org/elasticsearch/distribution/integ-test-zip/elasticsearch/8.19.21/elasticsearch-8.19.21.zip"
    )


def test_programs_may_be_run_and_everybody_may_read_what_is_unpacked(tmp_path: Path, archive: Path) -> None:
    server = install(archive, tmp_path / "server", lambda _: None)
    assert stat.S_IMODE((server / "bin" / "elasticsearch").stat().st_mode) == 0o755
    assert stat.S_IMODE((server / "config" / "jvm.options").stat().st_mode) == 0o644
    assert stat.S_IMODE((server / "lib").stat().st_mode) == 0o755
    assert installed(tmp_path / "server") == server


def test_other_versions_and_broken_attempts_are_swept_away(tmp_path: Path, archive: Path) -> None:
    folder = tmp_path / "server"
    (folder / "elasticsearch-8.0.0" / "lib").mkdir(parents=True)
    (folder / ".unpacking-old").mkdir()
    install(archive, folder, lambda _: None)
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_an_installed_server_is_left_alone(tmp_path: Path, archive: Path) -> None:
    server = install(archive, tmp_path / "server", lambda _: None)
    (server / "mark").write_text("kept")
    install(tmp_path / "no-such.zip", tmp_path / "server", lambda _: None)
    assert (server / "mark").exists()


def test_a_full_disk_leaves_nothing_half_installed(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([None])

    def full_after_one(_descriptor: int) -> None:
        if next(left, "full") == "full":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_after_one)
    with pytest.raises(ConfigurationError, match="no room for Elasticsearch"):
        install(archive, tmp_path / "server", lambda _: None)
    assert list((tmp_path / "server").iterdir()) == []
    assert installed(tmp_path / "server") is None


def test_a_path_that_leads_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    evil = make_archive(tmp_path / "evil.zip", {"../outside": (b"x", 0o100644)})
    (tmp_path / "into").mkdir()
    with pytest.raises(PermanentError, match="leads out"):
        unpack(evil, tmp_path / "into")
    assert not (tmp_path / "outside").exists()
