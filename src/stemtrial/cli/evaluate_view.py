"""What ``evaluate`` prints for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemtrial.report.candidatepage import (
    checked,
    course,
    facts,
    failing,
    hard_stops,
    merged,
    missing,
    outlook_rows,
    silent,
    without,
)

if TYPE_CHECKING:
    from rich.table import Table

Document = Mapping[str, Any]


def show(documents: Sequence[Document], pages: Sequence[Path]) -> None:
    """Print every candidate: hard stops, concordance, what may change, what is unknown, outlook."""
    from rich.console import Console

    console = Console()
    for document in documents:
        console.print("\n".join(lines(document)), highlight=False, soft_wrap=True)
        quiet = silent(document)
        if quiet is None:
            console.print(outlook_table(document["outlook"]))
            for row in merged(list(outlook_rows(document["outlook"])), silent_=True):
                console.print(f"  serious harms of 1,000  {row.label}: {row.harms[0]}", highlight=False)
            console.print("  months at risk: ᵃ 6–12 ᵇ 1–6 ᶜ 12–24 ᵈ 0–1")
            for names, reason in without(list(outlook_rows(document["outlook"]))):
                console.print(f"No numbers for {names}: {reason}.", highlight=False)
        else:
            console.print(f"No numbers: {quiet}.", highlight=False)
        for line in course(document):
            console.print(f"  course     {line}", highlight=False, soft_wrap=True)
        for line in document["unmapped"]:
            console.print(f"not mapped: {line}", highlight=False, markup=False)
        if document["ignored_fields"]:
            console.print(
                f"fields left out that identify a person: {document['ignored_fields']}", highlight=False
            )
    outlook = documents[0]["outlook"]
    if outlook is not None:
        inert = outlook["inert"]
        share = (
            "" if inert is None else f", in {100 * inert:.0f} of 100 of which cells do nothing of their own"
        )
        console.print(
            f"[bold]{outlook['belief']}[/bold]. Seed {outlook['seed']}, {outlook['draws']} draws{share}."
        )
        console.print(checked(documents[0]), highlight=False)
    console.print(str(documents[0]["statement"]), highlight=False)
    for page in pages:
        console.print(f"Print-out: {page}", soft_wrap=True, highlight=False)


def lines(document: Document) -> list[str]:
    """Return what is said of one candidate before the numbers."""
    found = document["suitability"]
    head = [] if document["row"] is None else [f"row {document['row']}"]
    text = [" · ".join([*head, *facts(document), f"assessed {document['assessed']}"])]
    text += [f"  hard stop  {name}: {state} ({trials})" for name, state, trials in hard_stops(found)]
    text += [f"  rules      {found['finding']}"]
    text += [f"  change     {line}" for line in failing(found)]
    text += [f"  unknown    {line}" for line in missing(found)]
    return [line.replace("[", r"\[") for line in text]


def outlook_table(outlook: Document) -> "Table":
    """Return the options in their fixed order: pain, chance of an important improvement, own action."""
    from rich.box import SIMPLE
    from rich.table import Table

    title = "Outlook for persons like this one\nPain: middle (95 % range). Chances of 100 persons (95 % interval)."
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("option", no_wrap=True)
    for heading in ("pain 12 mo", "MCID 3 mo", "MCID 12 mo", "own action"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in outlook_rows(outlook):
        if not row.text:
            table.add_row(row.label, row.pain[3], *row.chances[:2], row.rest[0])
    return table
