"""The ``report`` verb."""

import json
from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Run folder written by `stemtrial simulate`.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the page's place as one JSON document.")
    ] = False,
) -> None:
    """Rebuild the report of a run folder."""
    from stemtrial.report import write

    page = write(folder)
    typer.echo(json.dumps({"report": str(page)}) if as_json else f"Report: {page}")
