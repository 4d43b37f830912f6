"""The ``export`` verb."""

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ExportFormat(StrEnum):
    """What is written."""

    parquet = "parquet"
    csv = "csv"
    xpt = "xpt"
    nonmem = "nonmem"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Run folder with patients.parquet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    format: Annotated[
        ExportFormat,
        typer.Option("--format", help="ADSL, ADQS and ADAE as parquet, csv or xpt; or NONMEM records."),
    ],
    replicates: Annotated[
        str | None,
        typer.Option(
            "--replicates",
            metavar="A-B",
            help="Virtual trials A to B, or one, counted from 0; by default all.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Export the simulated patients of a run for analysis elsewhere: ADaM-like data sets or NONMEM-like records."""
    from stemtrial.cli.progress import bar
    from stemtrial.trial.export import export as write

    span = _span(replicates)
    with bar() as progress:
        task = progress.add_task("exporting", total=None)
        found = write(
            run,
            out,
            format.value,
            span,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps({"out": str(out), "rows": found.rows, "harms_counted": found.harms}))
        return
    for name, rows in found.rows.items():
        typer.echo(f"{out / name}: {rows:,} rows")
    typer.echo(f"{out / 'variables.csv'}: what the columns mean")
    silent = {arm: [t for t, known in given.items() if not known] for arm, given in found.harms.items()}
    for arm, treatments in silent.items():
        if treatments and format is not ExportFormat.nonmem:
            typer.echo(
                f"note: no published arm counts events of {', '.join(treatments)} (arm {arm}); ADAE has none of it",
                err=True,
            )


def _span(text: str | None) -> tuple[int, int] | None:
    """Read a range of virtual trials, such as ``0-99`` or ``17``."""
    from stemtrial.errors import InputError, Problem

    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text.strip())
    if found is None:
        raise InputError(
            Problem("is not a range", field="--replicates", value=text, allowed="such as 0-99, or 17")
        )
    return int(found[1]), int(found[2] or found[1])
