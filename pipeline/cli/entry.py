"""Where the console script begins.

Invariant: Ctrl-C while the command is still being loaded ends the process as any program's, without a traceback;
where whoever started it has it ignore Ctrl-C, it does.
"""

import signal


def run() -> None:
    """Run `siemlite` with the process's arguments and exit."""
    told = signal.getsignal(signal.SIGINT)
    if told is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pipeline.cli.main import run as run_command

    signal.signal(signal.SIGINT, told)
    run_command()


if __name__ == "__main__":
    run()
