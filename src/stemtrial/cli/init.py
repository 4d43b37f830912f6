"""The ``init`` verb."""

import json
from pathlib import Path
from typing import Annotated

import typer


def init(
    template: Annotated[
        str | None, typer.Argument(metavar="TEMPLATE", help="Design to start from; see --list.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder for the file; made if need be.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the designs instead.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Start a trial file from a published design, each number with its source or marked as a choice."""
    from stemtrial.errors import InputError, Problem
    from stemtrial.trial import templates

    if show:
        _print_list(as_json)
        return
    if template is None or folder is None:
        missing = "TEMPLATE" if template is None else "DIR"
        raise InputError(
            Problem(
                f"{missing} is missing",
                hint="write `stemtrial init TEMPLATE DIR`; `--list` shows the templates",
            )
        )
    chosen = templates.template(template)
    path = chosen.write(folder)
    if as_json:
        typer.echo(json.dumps({"template": chosen.name, "file": str(path), "sources": chosen.sources}))
        return
    typer.echo(f"{path}: {chosen.summary}")
    typer.echo(f"Next: stemtrial check {path}")


def _print_list(as_json: bool) -> None:
    from stemtrial.trial.templates import templates

    if as_json:
        rows = [{"name": t.name, "summary": t.summary, "sources": t.sources} for t in templates()]
        typer.echo(json.dumps({"templates": rows}))
        return
    for t in templates():
        typer.echo(f"{t.name}\n  {t.summary}")
