"""The ``evidence completeness`` verb: which minimum-reporting items the trials report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemtrial.cli.output import one_format, print_csv, print_json, tables

if TYPE_CHECKING:
    from stemtrial.evidence.completeness import Completeness


def completeness(
    indication: Annotated[
        list[str] | None, typer.Option(help="knee_oa, hip_oa, disc_degeneration, …")
    ] = None,
    also: Annotated[Path | None, typer.Option(help="Folder with your own rows, beside the shipped.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
) -> None:
    """Count which minimum-reporting items the rows of each trial hold.

    Missing means missing in these rows; the full report may give it.
    """
    from dataclasses import asdict

    from stemtrial.evidence import Selection
    from stemtrial.evidence.completeness import ITEMS
    from stemtrial.evidence.completeness import completeness as measure

    one_format(as_json, as_csv)
    evidence = tables(also)
    selection = Selection(indication=tuple(indication or ()))
    found = measure(selection.of(evidence))
    provenance = {trial.trial_id: trial.provenance for trial in found.trials}
    rows = [asdict(each) | {"provenance": provenance[each.trial_id]} for each in found.findings]
    if as_json:
        print_json(
            {
                "evidence_hash": evidence.hash,
                "filters": selection.asked,
                "items": [asdict(item) | {"trials": found.of_item(item.name)} for item in ITEMS],
                "trials": [
                    {"trial_id": name, "provenance": provenance[name], "items": found.of_trial(name)}
                    for name in provenance
                ],
                "findings": rows,
            }
        )
    elif as_csv:
        print_csv(rows)
    else:
        _print(found, evidence.hash)


def _print(found: "Completeness", evidence_hash: str) -> None:
    from stemtrial.cli import terminal
    from stemtrial.evidence.completeness import ITEMS

    console = terminal.console()
    recorded = [item for item in ITEMS if item.concerns != "nothing"]
    counted = [(item, found.of_item(item.name)) for item in recorded]
    terminal.heading(console, "By item, number of trials")
    terminal.print_table(
        console,
        ("Item", "Asks for", "Reported>", "Partly>", "Missing>", "Not applicable>"),
        (
            (
                item.name,
                item.label,
                *(str(count[state]) for state in ("reported", "partly", "missing", "not applicable")),
            )
            for item, count in counted
        ),
    )
    absent = [f"{item.name} ({item.label})" for item in ITEMS if item.concerns == "nothing"]
    console.print(f"Not recorded in the tables: {'; '.join(absent)}.")
    terminal.heading(console, "By trial, number of items")
    terminal.print_table(
        console,
        ("Trial", "Whose", "Reported>", "Partly>", "Missing>", "Missing items"),
        (
            (
                trial.trial_id,
                "yours" if trial.provenance == "user" else "",
                *(str(found.of_trial(trial.trial_id)[state]) for state in ("reported", "partly", "missing")),
                ", ".join(found.items_of(trial.trial_id, "missing")),
            )
            for trial in found.trials
        ),
    )
    console.print(
        "Missing: not in the rows, which were read from abstracts, tables and records; the full report may give it."
    )
    console.print(f"\ntrials: {len(found.trials)}; evidence: {evidence_hash[:12]}")
