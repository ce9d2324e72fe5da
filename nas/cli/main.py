"""The command line: parses what was typed, calls one command; what the user can mend is one line on stderr."""

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from einmix import PatternError
from nas.cli import COMMANDS
from nas.cli.terminal import UNFINISHED, say
from nas.errors import NasError
from search_spaces import SpaceError

app = typer.Typer(name="nas", pretty_exceptions_enable=False, rich_markup_mode=None)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def main() -> None:
    """Runs a command; what the user can mend is one line on stderr and exit status 2. Raises KeyboardInterrupt."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show ± gets a question mark
    try:
        status = app(standalone_mode=False)
        if status == 130:  # typer makes this of Ctrl-C, or in older versions an exception of its own
            raise KeyboardInterrupt
        sys.stdout.flush()
        if status == UNFINISHED:
            sys.exit(status)
    except (NasError, SpaceError) as error:
        _fail(str(error))
    except PatternError as error:
        _fail(error.summary)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(": ".join(filter(None, (error.filename and str(error.filename), error.strerror or str(error)))))
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error
            _fail(error.format_message())
        raise


def _fail(message: str) -> NoReturn:
    say(message)
    sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        from nas.runs.settings import versions

        own, *others = versions().items()
        print(f"nas {own[1]} ({', '.join(f'{name} {version}' for name, version in others)})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Search for mixing patterns: which positions and channels are connected, and which weights are shared.

    Example: nas search --space subgrid --data digits
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
