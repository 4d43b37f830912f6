"""A network, and benefit beside harm, on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from stemtrial.cli import terminal
from stemtrial.evidence.benefitharm import BenefitHarm
from stemtrial.report.benefitharmpage import KINDS, benefits_table, harms_table
from stemtrial.report.evidence_words import heading, marked, whose, words
from stemtrial.report.figure import Table
from stemtrial.report.networkpage import (
    NetworkReview,
    consistency_words,
    effects_table,
    network_finding,
    ranks_table,
    split_table,
)


def print_network(
    found: NetworkReview,
    users: Sequence[str],
    choices: Sequence[tuple[str, str]],
    evidence_hash: str,
    out: Path | None,
) -> None:
    """Print effects, ranks, consistency and choices of a network."""
    console = terminal.console()
    console.print(f"{heading(words(found.indication))}: network on {words(found.outcome)}", style="bold")
    fit = found.synthesis.convergence
    tables: list[Table] = [effects_table(found), ranks_table(found)]
    for table in [*tables, *([split_table(found)] if found.splits else [])]:
        terminal.heading(console, table.caption)
        terminal.print_table(console, table.columns, table.rows)
    console.print(consistency_words(found))
    console.print(f"\n{network_finding(found)}")
    if users:
        console.print(whose(users))
    console.print(
        f"Sampler: R-hat at most {fit.r_hat:.3f}, effective sample size at least {fit.ess:.0f}, {fit.draws} draws."
    )
    terminal.heading(console, "Left out")
    for trial, reason in marked(found.synthesis.data.left_out, users):
        console.print(f"  {trial}: {reason}")
    _end(choices, evidence_hash, out)


def print_benefit_harm(
    found: Sequence[BenefitHarm],
    indication: str,
    month: float,
    choices: Sequence[tuple[str, str]],
    evidence_hash: str,
    out: Path | None,
) -> None:
    """Print benefits, then the harms of each option, serious ones first."""
    console = terminal.console()
    console.print(f"{heading(words(indication))}: benefit at about {month:g} months, and harm", style="bold")
    table = benefits_table(found)
    terminal.heading(console, table.caption)
    terminal.print_table(console, table.columns, table.rows)
    for option in found:
        terminal.heading(console, heading(words(option.option)))
        if not option.harms:
            console.print("No harm of this option was read; that is no sign of safety.")
        for kind in KINDS:
            harms = harms_table(option, kind)
            if harms.rows:
                console.print(harms.caption)
                terminal.print_table(console, harms.columns, harms.rows)
    console.print(
        "\nThe options were studied in different trials, persons and lengths of follow-up: no head-to-head comparison."
    )
    _end(choices, evidence_hash, out)


def _end(choices: Sequence[tuple[str, str]], evidence_hash: str, out: Path | None) -> None:
    console = terminal.console()
    terminal.heading(console, "Choices")
    for name, value in choices:
        console.print(f"  {name}: {value}")
    console.print(f"\nevidence: {evidence_hash[:12]}" + (f"; page: {out / 'synthesis.html'}" if out else ""))
