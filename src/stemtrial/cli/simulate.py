"""The ``simulate`` verb."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Precision(StrEnum):
    """Floating point of the courses."""

    double = "double"
    single = "single"


class Device(StrEnum):
    """Where courses are computed."""

    cpu = "cpu"
    gpu = "gpu"


def simulate(
    trial: Annotated[Path, typer.Argument(metavar="TRIAL", help="Trial file (YAML).")],
    out: Annotated[Path, typer.Option("--out", help="Run folder to write.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of all random draws.")],
    replicates: Annotated[int, typer.Option("--replicates", min=2, max=1_000_000, help="Virtual trials.")],
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=1024, help="Threads; by default one a core.")
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="Floating point of the courses; the error check covers it."),
    ] = Precision.double,
    device: Annotated[Device, typer.Option("--device", help="Where courses are computed.")] = Device.cpu,
    patients: Annotated[
        bool, typer.Option("--patients", help="Also write patients.parquet, a row a patient.")
    ] = False,
    posterior: Annotated[
        Path | None, typer.Option("--posterior", help="A posterior of your own; by default the shipped one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Simulate a trial: operating characteristics, report and everything to repeat them."""
    import os

    import numpy as np
    from rich.console import Console

    from stemtrial.cli.progress import bar_with_compiler
    from stemtrial.cli.simulate_view import (
        arms_table,
        changes_table,
        further_tables,
        question_table,
        sentences,
    )
    from stemtrial.report import write
    from stemtrial.simulation import Numerics
    from stemtrial.trial.run import run

    stages = {
        "check": "checking the time grid",
        "simulate": "simulating",
        "report": "writing the report",
    }
    with bar_with_compiler() as running:
        task = running.add_task("reading", total=replicates)
        summary = run(
            trial,
            replicates,
            seed,
            out,
            workers or os.cpu_count() or 1,
            write,
            Numerics(dtype=np.float64 if precision is Precision.double else np.float32, device=device.value),
            patients,
            lambda stage, done: running.update(task, description=stages[stage], completed=done),
            posterior,
        )
    if as_json:
        typer.echo(json.dumps(summary, allow_nan=False))
        return
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    console = Console()
    if summary.get("kind") == "single_arm":
        console.print(changes_table(summary, report), *sentences(summary), sep="\n")
    else:
        for table in (arms_table(summary, report), question_table(summary), *further_tables(summary)):
            console.print(table)
    weights = summary["structure_weights"]
    if "status" not in weights:
        shares = ", ".join(f"{100 * weight:.0f} % {name}" for name, weight in sorted(weights.items()))
        console.print(f"Model structures: {shares} (cells do nothing of their own in the contextual one)")
    console.print(f"[bold]{summary['calibration']}[/bold]: not for decisions. Seed {seed}.")
    console.print(f"Report: {out / 'report.html'}", soft_wrap=True)
