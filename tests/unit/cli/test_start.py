"""How a command ends: by signals that come at any moment."""

import signal
import subprocess
import sys


def ran(program: str) -> "subprocess.CompletedProcess[str]":
    begin = "import signal\nfrom pipeline.cli.start import stop_on_signals\nstop = stop_on_signals()\n"
    return subprocess.run(
        [sys.executable, "-c", begin + program], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_signal_that_comes_while_the_event_is_locked_to_be_waited_for_ends_the_waiting() -> None:
    done = ran("with stop._cond:\n    signal.raise_signal(signal.SIGTERM)\nprint(stop.wait(30))\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_second_signal_ends_the_process_at_once() -> None:
    done = ran("signal.raise_signal(signal.SIGINT)\nsignal.raise_signal(signal.SIGTERM)\nstop.wait(30)\n")
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")


def test_a_signal_after_the_command_has_begun_to_end_by_itself_ends_it_at_once() -> None:
    done = ran("stop.set()\nsignal.raise_signal(signal.SIGINT)\n")
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")
