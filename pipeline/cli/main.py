"""The console script: which commands there are, and what becomes of their errors.

Invariants: a user's mistake is one line on stderr and exit 2, without a traceback; what could not be done
for another reason is one line and exit 1; Ctrl-C ends a command quietly with exit 130 unless it means `done`.
"""

import errno
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import alerts, dead_letters, node, silence
from pipeline.cli.backtest import backtest
from pipeline.cli.check import check
from pipeline.cli.coverage import coverage
from pipeline.cli.detect import detect
from pipeline.cli.drill import drill
from pipeline.cli.output import say, show
from pipeline.cli.scheduler import scheduler
from pipeline.cli.setup import setup
from pipeline.cli.ship import ship
from pipeline.cli.status import status
from pipeline.cli.test import examples
from pipeline.cli.up import up
from pipeline.errors import ConfigurationError, SiemliteError

_EXAMPLES = {
    up: "siemlite up --follow /var/log/auth.log --format authlog",
    ship: "siemlite ship --follow --format json '/var/log/app/*.log'",
    detect: "siemlite detect --from 2026-11-24 --to 2026-11-25 --id brute_force_by_address --dry-run",
    backtest: "siemlite backtest brute_force_by_address --from 2026-11-01 --to 2026-12-01 --at-least 8",
    drill: "siemlite drill root_login impossible_travel",
}

app = typer.Typer(
    name="siemlite",
    epilog="Exit status 0: done; 1: the thing asked about is not so; 2: wrong usage or configuration.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(node.app, name="node", help="The embedded Elasticsearch of this home.")
app.add_typer(alerts.app, name="alerts")
app.add_typer(silence.app, name="silence")
app.add_typer(dead_letters.app, name="dead-letters")
for command in (up, setup, ship, scheduler, detect, backtest, drill, check, coverage, status):
    app.command(epilog=f"Example: {_EXAMPLES[command]}" if command in _EXAMPLES else None)(command)
app.command("test")(examples)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        show(f"siemlite {version('siemlite')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Security logging and monitoring on Elasticsearch."""


def run() -> None:
    """Run `siemlite` with the process's arguments and exit."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - closed by nobody before the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal's encoding lacks is shown as an escape
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UsageError = typer.BadParameter.__mro__[1]
"""What the command line's parser raises; typer has it from click, or from a copy of its own, and exports this way."""


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    try:
        result = app(arguments or ["--help"], prog_name="siemlite", standalone_mode=False)
    except ConfigurationError as error:
        say(f"siemlite: {error}")
        return 2
    except SiemliteError as error:
        say(f"siemlite: {error}")
        return 1
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        say(f"siemlite: the result cannot be written: {error.strerror}; make room, or write it elsewhere")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else what is left in the buffer fails at the end
        return 1
    except Exception as error:
        if not isinstance(error, _UsageError):
            raise
        message = getattr(error, "format_message", error.__str__)()
        if message:
            say(f"siemlite: {' '.join(message.split())}; see `siemlite --help`")
        return 2
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    run()
