"""What the evidence verbs share: reading the tables asked for, and printing JSON and CSV."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.evidence import Evidence


def tables(also: Path | None) -> "Evidence":
    """Return the shipped evidence, with the rows of a folder beside it."""
    from stemtrial.evidence import load

    if also is None:
        return load()
    from stemtrial.evidence.merging import merge

    return merge(load(), load(also))


def one_format(as_json: bool, as_csv: bool) -> None:
    """Refuse two formats at once."""
    if as_json and as_csv:
        raise InputError(
            Problem("exclude each other", field="--json and --csv", hint="choose one of the two")
        )


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    import json

    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def print_csv(rows: list[dict[str, Any]]) -> None:
    """Print rows as CSV in the manner of the shipped tables: lists joined by semicolons, flags in words."""
    import csv
    import sys

    def cell(value: object) -> object:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return f"{value:.10g}"
        return ";".join(str(cell(part)) for part in value) if isinstance(value, list | tuple) else value

    if rows:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([cell(value) for value in row.values()] for row in rows)


def command_line() -> str:
    """Return the command as typed, but for the place of its output."""
    import shlex
    import sys

    typed: list[str] = []
    skip = False
    for argument in sys.argv[1:]:
        if not skip and argument != "--out" and not argument.startswith("--out="):
            typed.append(argument)
        skip = argument == "--out"
    return shlex.join(["stemtrial", *typed])
