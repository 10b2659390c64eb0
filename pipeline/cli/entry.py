"""Where the console script begins.

Invariant: Ctrl-C while the command is still being loaded ends the process as any program's, without a traceback;
where whoever started it has it ignore Ctrl-C, it does.
"""

import signal
import sys

_NEVER_ASKED = "httpx._main"
"""The command line of an HTTP library, which would load what colours source code: a third of the time to begin."""


def run() -> None:
    """Run `siemlite` with the process's arguments and exit."""
    told = signal.getsignal(signal.SIGINT)
    if told is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.modules.setdefault(_NEVER_ASKED, None)  # type: ignore[arg-type]  # as if it were not installed
    from pipeline.cli.main import run as run_command

    signal.signal(signal.SIGINT, told)
    run_command()


if __name__ == "__main__":
    run()
