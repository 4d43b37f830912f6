"""The ``evidence import`` verb: a user's table or a registry record into a folder of rows for review."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.evidence.imports.folder import Imported


def import_(
    file: Annotated[Path, typer.Argument(help="A table (.csv) or one ClinicalTrials.gov record (.json).")],
    out: Annotated[Path, typer.Option(help="A new folder, or one that this command made.")],
    table: Annotated[
        str | None, typer.Option(help="Of a CSV: references, trials, arms, outcomes, events.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar="TITLE=ARM", help="Of a record: the arm that a group of results is."),
    ] = None,
    indication: Annotated[
        str | None, typer.Option(help="Of a record whose conditions leave it open: knee_oa, …")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Write the rows of a file into a folder, for review; the shipped evidence is never changed.

    Rows that are complete stand in the folder's tables, others in its review folder; mapping.csv says what
    became of every value. Nothing is guessed, and nothing is fetched.
    """
    kind = file.suffix.lower()
    if kind not in (".csv", ".json"):
        raise InputError(Problem("is neither a .csv nor a .json file", file=str(file)))
    if (kind == ".csv") != (table is not None):
        what = "is needed for a .csv file" if kind == ".csv" else "is for .csv files only"
        hint = "references, trials, arms, outcomes or events" if kind == ".csv" else "leave it out"
        raise InputError(Problem(what, field="--table", value=table, hint=hint))
    if kind == ".csv" and (arm or indication):
        raise InputError(Problem("are for .json records only", field="--arm and --indication"))
    if table is not None:
        from stemtrial.evidence.imports import import_table

        done = import_table(file, out, table=table)
    else:
        from stemtrial.evidence.imports import import_record

        done = import_record(file, out, arms=_said(arm or []), indication=indication)
    if as_json:
        from stemtrial.cli.output import print_json

        print_json(_document(done))
    else:
        _print(done)
    _refuse(done, str(file))


def _said(given: list[str]) -> dict[str, str]:
    wrong = [text for text in given if not all(part.strip() for part in text.rpartition("=")[::2])]
    if wrong:
        raise InputError(
            *(
                Problem("is not TITLE=ARM", field="--arm", value=text, hint="e.g. 'Group A=cells'")
                for text in wrong
            )
        )
    return {title.strip(): arm.strip() for title, _, arm in (text.rpartition("=") for text in given)}


def _document(done: "Imported") -> dict[str, Any]:
    from stemtrial.evidence.imports.ledger import counts

    return {
        "folder": str(done.folder),
        "taken": dict(done.taken),
        "for_review": {
            name: [{"row": draft.name, "problems": draft.problems} for draft in drafts]
            for name, drafts in done.waiting.items()
        },
        "values": counts(done.mapping),
        "notes": list(done.notes),
        "evidence_hash": done.evidence.hash,
    }


def _print(done: "Imported") -> None:
    from stemtrial.evidence.imports.ledger import counts

    for name in ("references", "trials", "arms", "outcomes", "events"):
        taken, waiting = done.taken.get(name, 0), len(done.waiting.get(name, ()))
        if taken or waiting:
            typer.echo(f"{name:<11}{taken:>5} taken in" + (f", {waiting} for review" if waiting else ""))
    values = counts(done.mapping)
    typer.echo("values     " + ", ".join(f"{count} {how}" for how, count in values.items()))
    for note in done.notes:
        typer.echo(f"note: {note}")
    for name, drafts in done.waiting.items():
        for draft in drafts[:_SHOWN]:
            typer.echo(f"review: {name} {draft.name}: {draft.said}")
        if len(drafts) > _SHOWN:
            typer.echo(f"review: {name}: {len(drafts) - _SHOWN} more")
    typer.echo(f"{done.folder}: marked as yours; check every inferred value in mapping.csv")


def _refuse(done: "Imported", file: str) -> None:
    """End with 2 if the file was not taken in as evidence: a refused row of a table, or no trial of a record."""
    refused = (
        done.waiting
        if file.lower().endswith(".csv")
        else {name: drafts for name, drafts in done.waiting.items() if name == "trials"}
    )
    count = sum(map(len, refused.values()))
    if count:
        rows = "1 row was" if count == 1 else f"{count} rows were"
        hint = f"complete review/*.csv there and import it with --out {done.folder}"
        raise InputError(
            Problem(f"{rows} not taken in; kept for review in {done.folder}", file=file, hint=hint)
        )


_SHOWN = 5
