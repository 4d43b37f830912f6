"""Verdicts on the terminal: an overview, and a single claim with all that its verdict rests on."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from stemtrial.claims.assessing import Assessment, PartResult
from stemtrial.cli import terminal
from stemtrial.report.claimtables import (
    change_table,
    change_words,
    estimate_words,
    model_words,
    probability_words,
    sensitivity_table,
    studies_table,
)
from stemtrial.report.evidence_words import heading
from stemtrial.report.figure import Table


def print_claims(found: Sequence[Assessment], out: Path | None) -> None:
    """Print verdicts: one claim in full, several as a table."""
    console = terminal.console()
    if len(found) == 1:
        _print_claim(console, found[0])
    else:
        rows = [row for each in found for row in _rows(each)]
        terminal.print_table(console, ("Claim", "Verdict", "P", "Certainty", "Part", "Estimate (95 %)"), rows)
        console.print(
            "P: probability that the claim holds; of several parts all must hold, and two numbers are its bounds.\n"
            "Supported needs P >= 0.95, contradicted P <= 0.05, and both a certainty at least moderate."
        )
    model = next((each.model for each in found if each.seed is not None), found[0].model)
    page = f"; pages: {out / 'index.html'}" if out else ""
    console.print(f"\nevidence: {found[0].evidence_hash[:12]}; model: {model}{page}")


def _rows(found: Assessment) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for place, result in enumerate(found.parts):
        first = (
            found.name,
            found.verdict,
            probability_words(found.judged),
            found.judged.certainty.replace("_", " "),
        )
        rows.append((*(first if place == 0 else ("",) * 4), result.name, estimate_words(result)))
    return rows


def _print_claim(console: Console, found: Assessment) -> None:
    console.print(f"{found.claim.title}: {found.verdict}", style="bold")
    console.print(found.sentence)
    for result in found.parts:
        _print_part(console, result)
    terminal.heading(console, "The verdict with narrower sets of studies")
    _table(console, sensitivity_table(found))
    if len(found.parts) > 1 and found.changes:
        table = change_table(found.changes, None)
        terminal.heading(console, table.caption)
        _table(console, table)
    console.print(f"Rival structures: {found.structures}.")
    console.print(
        f"\nrule: {found.rule_hash[:12]}; seed: {'none used' if found.seed is None else found.seed}"
    )


def _print_part(console: Console, result: PartResult) -> None:
    terminal.heading(console, f"{heading(result.name.replace('_', ' '))}: {result.part.asks}")
    console.print(estimate_words(result))
    console.print(
        f"P {probability_words(result.judged)}, certainty {result.judged.certainty.replace('_', ' ')}"
    )
    console.print(result.sentence)
    for text in result.missing:
        console.print(text)
    if result.body.data:
        studies = studies_table(result)
        columns = (*studies.columns[:-3], "Bias", *studies.columns[-2:-1])
        terminal.print_table(console, columns, (row[:-1] for row in studies.rows))
    for judged in result.judgements:
        if judged.down:
            console.print(f"  {heading(judged.domain)} (-{judged.down}): {judged.reason}")
    for what, value in result.context if result.part.kind == "protocol_spread" else ():
        console.print(f"  {what}: {value}")
    if result.model is not None:
        console.print(f"  {model_words(result.model)}")
    for change in result.changes:
        console.print(f"  {change_words(result.part, change)}")


def _table(console: Console, table: Table) -> None:
    terminal.print_table(console, table.columns, table.rows)
