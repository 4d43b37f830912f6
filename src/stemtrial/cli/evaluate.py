"""The ``evaluate`` verb: one candidate, or a table of them, against the published rules and under every option."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.candidate.explain import Origin


class Indication(StrEnum):
    """What can be evaluated."""

    knee_oa = "knee_oa"
    disc_degeneration = "disc_degeneration"


def _checks(asked: bool) -> None:
    """Print how predicted and observed responders agree, and end."""
    if asked:
        from stemtrial.candidate.checks import lines, shipped

        found = shipped("knee_oa")
        typer.echo(
            "no table of responders comes with this version" if found is None else "\n".join(lines(found))
        )
        raise typer.Exit


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(metavar="CANDIDATE", help="Record (YAML, JSON), table (CSV) or FHIR bundle (JSON)."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the print-out and the numbers.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="FIELD", help="Trace a number of the result to its sources."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="OPTION+OPTION", help="A combination to show after the options; repeatable."
        ),
    ] = None,
    posterior: Annotated[
        Path | None, typer.Option("--posterior", help="Constants of a fit; by default what the package has.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random draws.")] = 1,
    draws: Annotated[
        int, typer.Option("--draws", min=100, max=100_000, help="Draws of the constants.")
    ] = 400,
    indication: Annotated[
        Indication | None, typer.Option("--indication", help="For a bundle that names several or none.")
    ] = None,
    checks: Annotated[
        bool,
        typer.Option(
            "--checks",
            callback=_checks,
            is_eager=True,
            help="Print how predicted and observed responders agree, and end.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Evaluate a candidate: suitability by published rules, outlook under every option, no verdict.

    The record is read here and stays here: nothing is logged, and nothing is stored but what --out asks for.
    """
    from datetime import date

    from stemtrial.calibration.belief import belief
    from stemtrial.candidate.assessment import assess
    from stemtrial.candidate.explain import explain as trace
    from stemtrial.candidate.intake import read_candidates
    from stemtrial.cli.progress import bar_with_compiler
    from stemtrial.evidence import load

    found = read_candidates(file, date.today(), indication.value if indication else None)
    if explain is not None and len(found) > 1:
        raise InputError(Problem("is for one candidate", field="--explain", hint="give a file of one"))
    evidence = load()
    with bar_with_compiler() as progress:
        task = progress.add_task("evaluating", total=len(found))
        documents = []
        for intake in found:
            known = belief(intake.record.indication, posterior)
            documents.append(assess(intake, evidence, known, seed, draws, also or (), posterior).to_dict())
            progress.advance(task)
    pages = [] if out is None else write(documents, out)
    if explain is not None:
        origin = trace(documents[0], explain, evidence)
        typer.echo(
            json.dumps(origin.to_dict(), allow_nan=False) if as_json else "\n".join(origin_lines(origin))
        )
    elif as_json:
        whole: Any = documents[0] if found[0].row is None else {"candidates": documents}
        typer.echo(json.dumps(whole, allow_nan=False))
    else:
        from stemtrial.cli.evaluate_view import show

        show(documents, pages)


def write(documents: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write numbers and print-out of every candidate into a folder; return the print-outs."""
    from stemtrial.report.candidatepage import write as write_page
    from stemtrial.report.page import write_whole

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            Problem(f"cannot be made: {error.strerror}", field="--out", value=str(folder))
        ) from None
    pages = []
    for document in documents:
        name = "candidate" if document["row"] is None else f"candidate_{document['row']}"
        write_whole(folder / f"{name}.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        pages.append(write_page(document, folder, f"{name}.html"))
    return pages


def origin_lines(origin: "Origin") -> list[str]:
    """Return where a number comes from, as lines."""
    values = origin.value if isinstance(origin.value, list) else [origin.value]
    shown = ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
    lines = [f"{origin.field} = {shown}", f"  {origin.how}"]
    if origin.belief is not None:
        lines.append(f"  constants: {origin.belief}, sha256 {origin.fingerprint}, seed {origin.seed}")
    lines += [f"  {row.table}.csv row {row.row}: {row.says} [{row.reference_id}]" for row in origin.rows]
    return lines + [f"  {citation}" for citation in origin.citations]
