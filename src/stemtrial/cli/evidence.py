"""The ``evidence`` verb."""

import typer

app = typer.Typer(help="The shipped evidence and its synthesis.", no_args_is_help=True)


@app.callback()
def _options() -> None:
    """Hold the subcommands together."""
