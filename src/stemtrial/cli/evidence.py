"""The ``evidence`` verb."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli import completeness, evidence_import, meta, network
from stemtrial.cli.output import one_format, print_csv, print_json, tables
from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.evidence import Evidence
    from stemtrial.evidence.schema import Outcome, Row, Trial

app = typer.Typer(help="The shipped evidence and its synthesis.", no_args_is_help=True)

Words = list[str] | None
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Also = Annotated[Path | None, typer.Option(help="Folder with your own rows, beside the shipped.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")]


@app.callback()
def _options() -> None:
    """Hold the subcommands together."""


@app.command("list")
def list_(
    indication: Annotated[Words, typer.Option(help="knee_oa, hip_oa, disc_degeneration, …")] = None,
    intervention: Annotated[Words, typer.Option(help="Arm under study: cell_therapy, prp, …")] = None,
    comparator: Annotated[Words, typer.Option(help="Control arm: saline, hyaluronic_acid, …")] = None,
    product: Annotated[Words, typer.Option(help="Cells: culture_expanded, bmac, svf, …")] = None,
    origin: Annotated[Words, typer.Option(help="Cells: autologous, allogeneic.")] = None,
    blinding: Annotated[Words, typer.Option(help="double, single, open, unclear.")] = None,
    construct: Annotated[Words, typer.Option(help="Outcomes: pain, function, …")] = None,
    reliability: Annotated[Words, typer.Option(help="Outcomes: high, moderate, low.")] = None,
    analysis_set: Annotated[Words, typer.Option(help="Outcomes: primary, sensitivity, …")] = None,
    table: Annotated[str, typer.Option(help="What to list: trials, arms, outcomes or events.")] = "trials",
    also: Also = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the trials, or the arms, outcomes or events of the trials that pass every filter.

    A filter may be given several times; any of its words will do.
    """
    from stemtrial.evidence import Selection

    one_format(as_json, as_csv)
    makers = {"trials": _trial_rows, "arms": _arm_rows, "outcomes": _outcome_rows, "events": _event_rows}
    if table not in makers:
        raise InputError(Problem("is not known", field="--table", value=table, allowed=", ".join(makers)))
    evidence = tables(also)
    selection = Selection(
        indication=tuple(indication or ()),
        blinding=tuple(blinding or ()),
        intervention=tuple(intervention or ()),
        product=tuple(product or ()),
        origin=tuple(origin or ()),
        comparator=tuple(comparator or ()),
        construct=tuple(construct or ()),
        reliability=tuple(reliability or ()),
        analysis_set=tuple(analysis_set or ()),
    )
    selected = selection.of(evidence)
    if as_json:
        rows = makers[table](selected)
        print_json(
            {
                "evidence_hash": evidence.hash,
                "filters": selection.asked,
                "table": table,
                "count": len(rows),
                "rows": rows,
            }
        )
    elif as_csv:
        print_csv(makers[table](selected))
    else:
        from stemtrial.cli import evidence_view

        evidence_view.print_list(table, selected, evidence)


@app.command()
def show(
    trial_id: Annotated[str, typer.Argument(metavar="TRIAL", help="Identity of a trial, as in the list.")],
    also: Also = None,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the outcome rows as CSV and nothing else.")
    ] = False,
) -> None:
    """Show a trial: its arms, outcomes and adverse events, each number with its source."""
    one_format(as_json, as_csv)
    evidence = tables(also)
    only = _only(evidence, evidence.trial(trial_id))
    if as_json:
        sources = sorted(
            {
                row.reference_id
                for rows in (only.trials, only.arms, only.outcomes, only.events)
                for row in rows
            }
        )
        print_json(
            {
                "evidence_hash": evidence.hash,
                "trial": only.trials[0].cells() | _whose(only.trials[0]),
                "arms": _arm_rows(only),
                "outcomes": _outcome_rows(only),
                "events": _event_rows(only),
                "references": [found.cells() | _whose(found) for found in map(evidence.reference, sources)],
            }
        )
    elif as_csv:
        print_csv(_outcome_rows(only))
    else:
        from stemtrial.cli import evidence_view

        evidence_view.print_trial(only)


app.command()(meta.meta)
app.command()(network.network)
app.command()(network.benefit_harm)
app.command("import")(evidence_import.import_)
app.command()(completeness.completeness)


def _whose(row: "Row") -> dict[str, str]:
    return {"provenance": row.provenance}


def _only(evidence: "Evidence", trial: "Trial") -> "Evidence":
    from dataclasses import replace

    return replace(
        evidence,
        trials=(trial,),
        arms=evidence.arms_of(trial.trial_id),
        outcomes=evidence.outcomes_of(trial.trial_id),
        events=evidence.events_of(trial.trial_id),
    )


def _trial_rows(evidence: "Evidence") -> list[dict[str, Any]]:
    rows = []
    for trial in evidence.trials:
        arms, outcomes = evidence.arms_of(trial.trial_id), evidence.outcomes_of(trial.trial_id)
        counted = {
            "arms": [arm.arm_id for arm in arms],
            "interventions": sorted({arm.intervention for arm in arms if arm.role == "experimental"}),
            "comparators": sorted({arm.intervention for arm in arms if arm.role == "control"}),
            "outcome_rows": len(outcomes),
            "primary_pain_rows": sum(_is_primary_pain(row) for row in outcomes),
            "primary_pain_rows_with_spread": sum(
                _is_primary_pain(row) and row.has_spread for row in outcomes
            ),
        }
        rows.append(trial.cells() | counted | _source(evidence, trial.reference_id) | _whose(trial))
    return rows


def _is_primary_pain(row: "Outcome") -> bool:
    return row.analysis_set == "primary" and row.construct == "pain"


def _arm_rows(evidence: "Evidence") -> list[dict[str, Any]]:
    return [arm.cells() | _source(evidence, arm.reference_id) | _whose(arm) for arm in evidence.arms]


def _outcome_rows(evidence: "Evidence") -> list[dict[str, Any]]:
    """Return the outcome rows with their numbers on 0-100, lower better, beside the printed ones."""
    from dataclasses import asdict, fields

    from stemtrial.evidence.schema import Common

    def common(row: "Outcome") -> dict[str, float | None]:
        values = asdict(row.common) if row.scale_kind == "score" else {}
        return {f"common_{field.name}": values.get(field.name) for field in fields(Common)}

    return [
        row.cells() | common(row) | _source(evidence, row.reference_id) | _whose(row)
        for row in evidence.outcomes
    ]


def _event_rows(evidence: "Evidence") -> list[dict[str, Any]]:
    return [row.cells() | _source(evidence, row.reference_id) | _whose(row) for row in evidence.events]


def _source(evidence: "Evidence", reference_id: str) -> dict[str, str | None]:
    reference = evidence.reference(reference_id)
    return {"source_citation": reference.citation, "source_doi": reference.doi, "source_url": reference.url}
