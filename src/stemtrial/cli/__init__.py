"""The command line: parse, call, print. Heavy imports live inside the commands: ``--help`` answers at once."""

import signal
import sys
from typing import NoReturn

import typer
from typer.core import TyperGroup

from stemtrial import __version__
from stemtrial.cli import (
    check,
    claims,
    design,
    evaluate,
    evidence,
    export,
    fit,
    init,
    predict,
    replay,
    report,
    simulate,
    validate,
)
from stemtrial.errors import Interrupted, StemtrialError

app = typer.Typer(
    name="stemtrial",
    help="In-silico trials of stem-cell therapy for chronic pain. For research and professional use; never advice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    cls=TyperGroup,
)
app.command()(init.init)
app.command()(check.check)
app.command()(simulate.simulate)
app.command()(design.design)
app.command()(evaluate.evaluate)
app.command()(fit.fit)
app.command()(validate.validate)
app.command()(predict.predict)
app.command()(report.report)
app.command()(replay.replay)
app.command()(export.export)
app.command()(claims.claims)
app.add_typer(evidence.app, name="evidence")


@app.callback()
def _options() -> None:
    """Hold the verbs together."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise Interrupted("interrupted")


def main() -> None:
    """Run the command line; errors a user can mend become one message on stderr and an exit code."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app()
    except StemtrialError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
