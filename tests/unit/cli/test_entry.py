"""How the console script begins."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOADING = """
import os, signal, sys, types

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it

class Loading(types.ModuleType):
    def __getattr__(self, name):
        os.kill(os.getpid(), signal.SIGINT)
        return print if name == "run" else super().__getattribute__(name)

sys.modules["pipeline.cli.main"] = Loading("pipeline.cli.main")
"""
LOADED = """
import signal, sys, types

signal.signal(signal.SIGINT, signal.default_int_handler)

sys.modules["pipeline.cli.main"] = types.SimpleNamespace(run=lambda: print(signal.getsignal(signal.SIGINT).__name__))
"""
LISTING = """
import sys

sys.argv = ["siemlite", "alerts", "list"]
try:
    from pipeline.cli.entry import run

    run()
finally:
    print(sorted({"elasticsearch", "httpx", "pygments"} & {*sys.modules}))
"""
RUN = "from pipeline.cli.entry import run\nrun()\n"


def ran(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_ctrl_c_while_a_command_is_loaded_ends_it_without_a_traceback() -> None:
    done = ran(LOADING + RUN)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_nothing_is_loaded_before_ctrl_c_is_taken_care_of_but_what_that_needs() -> None:
    here = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import signal; "
    load = "needed = set(sys.modules); import pipeline.cli.entry; print(sorted(set(sys.modules) - needed))"
    done = subprocess.run([sys.executable, "-ISc", here + load], capture_output=True, text=True, check=True)
    assert done.stdout == "['pipeline', 'pipeline.cli', 'pipeline.cli.entry']\n"


def test_a_command_that_is_loaded_decides_itself_what_ctrl_c_means() -> None:
    done = ran(LOADED + RUN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "default_int_handler\n", "")


def test_who_is_told_to_ignore_ctrl_c_ignores_it() -> None:
    done = ran(LOADING + "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + RUN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_a_command_loads_the_client_of_elasticsearch_but_nothing_that_colours_source_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIEMLITE_HOME", str(tmp_path))
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:9")
    done = ran(LISTING)
    assert "does not answer" in done.stderr
    assert done.stdout == "['elasticsearch', 'httpx']\n"
