"""The ``design`` verb."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stemtrial.trial.search import Answer, Curve, Search

STEPS = 8


def design(
    trial: Annotated[Path, typer.Argument(metavar="TRIAL", help="Trial file (YAML).")],
    target: Annotated[float, typer.Option("--target", min=0.01, max=0.99, help="Chance of success wanted.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random draws.")],
    largest: Annotated[
        int, typer.Option("--max-n", min=8, max=20_000, help="Largest trial to consider, patients in all.")
    ] = 800,
    replicates: Annotated[
        int, typer.Option("--replicates", min=50, max=1_000_000, help="Virtual trials behind every number.")
    ] = 1000,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=1024, help="Threads; by default one a core.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Find the number of patients for a chance of success: curves of assurance and power over size."""
    import os

    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from stemtrial.documents import Document
    from stemtrial.trial.protocol import Trial
    from stemtrial.trial.run import planned
    from stemtrial.trial.search import search

    source = Document.read(trial)
    plan = planned(source.validate(Trial), source)
    smallest = min(24, largest // 2)
    sizes = sorted({int(round(n / 2) * 2) for n in np.geomspace(smallest, largest, STEPS)})
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=replicates)
        found = search(
            plan,
            sizes,
            replicates,
            seed,
            workers or os.cpu_count() or 1,
            lambda n: bar.update(task, completed=n),
        )
    if as_json:
        typer.echo(json.dumps(_document(found, target, seed, replicates, plan.belief.label), allow_nan=False))
    else:
        _print(plan.trial.title, found, target, seed, replicates, plan.belief.label)


def _answers(found: "Search", target: float) -> dict[str, "Answer"]:
    return {name: found.curves[name][found.main].size_for(target) for name in ("assurance", "power")}


def _document(found: "Search", target: float, seed: int, replicates: int, label: str) -> dict[str, Any]:
    from dataclasses import asdict

    def plain(curve: "Curve") -> dict[str, Any]:
        return {name: values.tolist() for name, values in asdict(curve).items()}

    return {
        "calibration": label,
        "seed": seed,
        "replicates": replicates,
        "target": target,
        "answers": {name: asdict(answer) for name, answer in _answers(found, target).items()},
        "months": list(found.months),
        "main_month": found.months[found.main],
        "best_month": found.best_month,
        "curves": {name: [plain(curve) for curve in curves] for name, curves in found.curves.items()},
    }


def _print(title: str, found: "Search", target: float, seed: int, replicates: int, label: str) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    month = found.months[found.main]
    table = Table(
        title=f"{title}\nChance of success at month {month:g}, %, with 95 % Monte-Carlo interval",
        title_justify="left", box=SIMPLE, pad_edge=False,
    )  # fmt: skip
    names = {"assurance": "assurance", "power": "power", "type_one_error": "type I error"}
    for heading in ("patients", *names.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    curves = {name: found.curves[name][found.main] for name in names}
    for i, size in enumerate(curves["assurance"].sizes):
        shares = (
            f"{100 * c.share[i]:.1f} ({100 * c.low[i]:.1f}, {100 * c.high[i]:.1f})" for c in curves.values()
        )
        table.add_row(str(size), *shares)
    console = Console()
    console.print(table)
    for name, answer in _answers(found, target).items():
        console.print(f"{name} of {100 * target:g} %: {_sentence(answer)}", soft_wrap=True)
    best = found.best_month
    if best != month:
        console.print(f"The largest trial would be most likely to succeed at month {best:g}.", soft_wrap=True)
    console.print(
        f"[bold]{label}[/bold]: not for decisions. Seed {seed}, {replicates} virtual trials.", soft_wrap=True
    )


def _sentence(answer: "Answer") -> str:
    if answer.size is None:
        return f"not reached; the largest trial considered has {100 * answer.ceiling:.0f} %"
    if answer.low == answer.size == answer.high:
        return f"{answer.size} patients or fewer, the smallest trial considered"
    above = "more than the largest" if answer.high is None else str(answer.high)
    return f"{answer.size} patients ({answer.low} to {above}, from the number of virtual trials)"
