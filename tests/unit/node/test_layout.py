"""A node's folders lie where the server's user reaches them, and are closed to all others."""

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.node import layout as layouts
from pipeline.node.configuration import Configuration
from pipeline.node.layout import Account, account_for, find, make_home, prepare, reachable, write_configuration

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def open_tmp(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that everybody may enter."""
    changed = []
    for folder in [tmp_path, *tmp_path.parents]:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & 0o001:
            folder.chmod(mode | 0o001)
            changed.append((folder, mode))
    yield tmp_path
    for folder, mode in changed:
        folder.chmod(mode)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_the_server_writes_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    layout = prepare(home, None)
    write_configuration(layout, None, Configuration({"elasticsearch.yml": "a: 1\n", "jvm.options.d/x": "-X\n"}))
    assert layout == find(home)
    assert layout.root == home / "node"
    assert {mode(path) for path in (layout.data, layout.logs, layout.tmp, layout.config)} == {0o700}
    assert (layout.config / "jvm.options.d" / "x").read_text() == "-X\n"


def test_each_start_configures_anew_and_keeps_the_data(tmp_path: Path) -> None:
    layout = prepare(tmp_path, None)
    (layout.data / "events").write_text("kept")
    (layout.tmp / "rubbish").write_text("gone")
    write_configuration(layout, None, Configuration({"old": ""}))
    assert prepare(tmp_path, None) == layout
    write_configuration(layout, None, Configuration({"new": ""}))
    assert (layout.data / "events").read_text() == "kept"
    assert not (layout.tmp / "rubbish").exists()
    assert [path.name for path in layout.config.iterdir()] == ["new"]


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME"):
        make_home(tmp_path / "file" / "home")


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "node").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"node cannot be prepared"):
        prepare(tmp_path, None)


@as_root
def test_root_keeps_the_node_in_a_home_that_the_server_reaches(open_tmp: Path, nobody: Account) -> None:
    home = open_tmp / "home"
    make_home(home)
    layout = prepare(home, nobody, outside=open_tmp / "outside")
    assert layout.root == home / "node"
    assert layout.data.stat().st_uid == nobody.user
    assert layout.root.stat().st_uid == 0
    assert reachable(layout.data, nobody)


@as_root
def test_root_moves_the_node_out_of_a_home_that_the_server_cannot_reach(open_tmp: Path, nobody: Account) -> None:
    closed = open_tmp / "closed"
    closed.mkdir(mode=0o700)
    (closed / "home").mkdir()
    layout = prepare(closed / "home", nobody, outside=open_tmp / "out")
    assert layout.root.parent == open_tmp / "out"
    assert reachable(layout.data, nobody)
    assert (closed / "home" / "node").is_symlink()
    assert find(closed / "home") == layout
    assert prepare(closed / "home", nobody, outside=open_tmp / "out") == layout


@as_root
def test_events_move_along_when_a_home_is_closed_later(open_tmp: Path, nobody: Account) -> None:
    home = open_tmp / "home"
    make_home(home)
    before = prepare(home, nobody, outside=open_tmp / "out")
    (before.data / "events").write_text("kept")
    home.chmod(0o700)
    after = prepare(home, nobody, outside=open_tmp / "out")
    assert after.root != before.root
    assert (after.data / "events").read_text() == "kept"
    assert after.data.stat().st_uid == nobody.user


@as_root
def test_a_new_home_at_an_old_path_finds_nothing_of_the_old_one(open_tmp: Path, nobody: Account) -> None:
    closed = open_tmp / "closed"
    home = closed / "home"
    home.mkdir(parents=True)
    closed.chmod(0o700)
    before = prepare(home, nobody, outside=open_tmp / "out")
    (before.data / "events").write_text("old")
    (home / "node").unlink()
    home.rmdir()
    home.mkdir()
    after = prepare(home, nobody, outside=open_tmp / "out")
    assert list(after.data.iterdir()) == []
    assert not before.root.exists()  # swept: its home lay in the folder for temporary files


@as_root
def test_data_of_a_user_is_served_as_that_user(tmp_path: Path, nobody: Account) -> None:
    layout = prepare(tmp_path, None)
    assert account_for(tmp_path) == nobody
    os.chown(layout.data, 12_345, 54_321)
    assert account_for(tmp_path) == Account(12_345, 54_321)


@as_root
def test_data_that_root_once_made_is_given_to_the_server(open_tmp: Path, nobody: Account) -> None:
    layout = prepare(open_tmp, None)
    (layout.data / "nodes").mkdir()
    (layout.data / "nodes" / "file").write_text("")
    prepare(open_tmp, nobody)
    assert (layout.data / "nodes" / "file").stat().st_uid == nobody.user


@as_root
@pytest.mark.parametrize(
    ("bits", "user", "group", "reached"),
    [
        (0o700, 1_234, 1, True),
        (0o077, 1_234, 5_678, False),
        (0o710, 1, 5_678, True),
        (0o701, 1, 5_678, False),
        (0o701, 1, 1, True),
        (0o770, 1, 1, False),
    ],
)
def test_an_account_reaches_what_its_user_or_else_its_group_or_else_all_may_enter(
    open_tmp: Path, bits: int, user: int, group: int, reached: bool
) -> None:
    folder = open_tmp / "folder"
    folder.mkdir()
    os.chown(folder, 1_234, 5_678)
    folder.chmod(bits)
    assert reachable(folder, Account(user, group)) is reached


def test_starts_at_once_may_sweep_the_same_nodes_of_homes_that_are_gone(tmp_path: Path) -> None:
    for number in range(6):
        root = tmp_path / f"gone-{number}"
        for folder in range(40):
            (root / f"{folder}").mkdir(parents=True)
            for file in range(20):
                (root / f"{folder}" / f"{file}").touch()
        (root / "home").write_text(str(Path(tempfile.gettempdir()) / "no-such-home"))
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(layouts._sweep, tmp_path) for _ in range(4)]:
            done.result()
    layouts._sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
