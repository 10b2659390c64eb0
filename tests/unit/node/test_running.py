"""Looking at, and stopping, what does not run."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, RetryableError
from pipeline.node import node_status, node_url, start_node, stop_node
from pipeline.node.layout import make_home, prepare
from pipeline.node.orphans import data_in_use, end_orphans
from pipeline.settings import load_settings
from tests.unit.node.processes import eventually, lives

# Locks the data folder as Elasticsearch does, under a command line that names its program.
SQUATTER = """
import fcntl, sys, time
lock = open(sys.argv[1] + "/node.lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


def test_nothing_runs_in_a_home_that_is_not_there_and_looking_does_not_make_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert node_status(home) is None
    assert node_url(home) is None
    assert not stop_node(home)
    assert not home.exists()


def test_a_stale_state_file_is_not_believed_and_cleared(tmp_path: Path) -> None:
    make_home(tmp_path)
    layout = prepare(tmp_path, None)
    stale = {"url": "http://127.0.0.1:9", "supervisor": os.getpid(), "launcher": os.getpid(), "detached": True}
    layout.state.write_text(json.dumps(stale))
    assert node_status(tmp_path) is None
    assert node_url(tmp_path) is None
    assert not stop_node(tmp_path)  # and we, whose process id it names, still live
    assert not layout.state.exists()


def test_a_node_that_is_still_starting_has_an_address_and_no_status(tmp_path: Path) -> None:
    layout = prepare(tmp_path, None)
    layout.state.write_text(json.dumps({"url": "http://127.0.0.1:9", "supervisor": 1, "launcher": 1}))
    with layout.run_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert node_url(tmp_path) == "http://127.0.0.1:9"
        assert node_status(tmp_path) is None


def test_a_home_that_is_no_folder_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME"):
        node_status(home)
    with pytest.raises(ConfigurationError, match="SIEMLITE_HOME"):
        start_node(load_settings(None, siemlite_home=home), progress=lambda _: None)


def test_a_home_with_a_colon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="colon"):
        start_node(load_settings(None, siemlite_home=tmp_path / "a:b"), progress=lambda _: None)


def test_an_orphaned_server_is_ended_before_its_data_is_opened(tmp_path: Path) -> None:
    layout = prepare(tmp_path, None)
    mark = f"-Des.path.home={layout.programs}/elasticsearch-0"
    with subprocess.Popen([sys.executable, "-c", SQUATTER, str(layout.data), mark], stdout=subprocess.PIPE) as orphan:
        assert orphan.stdout
        assert orphan.stdout.readline() == b"locked\n"
        assert data_in_use(layout)
        end_orphans(layout, SystemClock(), patience=0.2)
        assert eventually(lambda: not lives(orphan.pid))
    assert not data_in_use(layout)


def test_another_program_that_holds_the_data_is_left_alone(tmp_path: Path) -> None:
    layout = prepare(tmp_path, None)
    with subprocess.Popen([sys.executable, "-c", SQUATTER, str(layout.data)], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(RetryableError, match="in use by a server that does not end"):
            end_orphans(layout, SystemClock(), patience=0.2)
        assert lives(other.pid)
        other.kill()
