"""The console script: which commands there are, and what becomes of their errors.

Invariants: a user's mistake is one line on stderr and exit 2, without a traceback; what could not be done
for another reason is one line and exit 1; Ctrl-C ends a command quietly with exit 130 unless it means `done`.
"""

import sys

import click
import typer

from pipeline.cli import node
from pipeline.cli.output import say
from pipeline.cli.setup import setup
from pipeline.cli.ship import ship
from pipeline.errors import ConfigurationError, SiemliteError

app = typer.Typer(
    name="siemlite",
    help="Security logging and monitoring on Elasticsearch.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(node.app, name="node", help="The embedded Elasticsearch of this home.")
for command in (setup, ship):
    app.command()(command)


def run() -> None:
    """Run `siemlite` with the process's arguments and exit."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    try:
        result = app(arguments, prog_name="siemlite", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        say(f"siemlite: {' '.join(error.format_message().split())}; see `siemlite --help`")
        return 2
    except ConfigurationError as error:
        say(f"siemlite: {error}")
        return 2
    except SiemliteError as error:
        say(f"siemlite: {error}")
        return 1
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    return result if isinstance(result, int) else 0
