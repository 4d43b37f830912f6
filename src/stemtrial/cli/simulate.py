"""The ``simulate`` verb."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table


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
        from stemtrial.cli.singlearm_view import changes_table, sentences

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


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"


def _interval(value: float, low: float, high: float) -> str:
    return f"{_number(value)} ({_number(low)}, {_number(high)})"


def arms_table(summary: dict[str, Any], report: dict[str, Any]) -> "Table":
    """Arms, comparator first: change at the main visit with 95 % interval, and its true parts."""
    from rich.box import SIMPLE
    from rich.table import Table

    month = f"{report['endpoint']['month']:g}"
    reading = "95 % interval of trials' means; negative is better"
    title = f"{summary['trial']}\nChange of {report['endpoint']['label']}\n{reading}"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("arm", overflow="fold", min_width=14)
    for heading in ("n", "change", "contextual", "specific", "cells", "MCID"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, arm in summary["arms"].items():
        change = arm["change"][month]
        table.add_row(
            name,
            str(arm["n"]),
            _interval(change["mean"], change["q025"], change["q975"]),
            *(_number(arm["parts"][part]["mean"]) for part in ("contextual", "specific", "cells")),
            f"{100 * arm['responders']['mcid']['share']:.0f} %",
        )
    return table


def question_table(summary: dict[str, Any]) -> "Table":
    """Contrast with its parts, and the trial's chances."""
    from rich.box import SIMPLE
    from rich.table import Table

    contrast = summary["contrast"]
    table = Table(
        title="Experimental minus comparator",
        title_justify="left",
        show_header=False,
        box=SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_row("difference", _interval(contrast["estimate"], contrast["q025"], contrast["q975"]))
    for part in ("contextual", "specific"):
        table.add_row(f"  {part}", _interval(*(contrast[part][k] for k in ("mean", "q025", "q975"))))
    labels = {
        "assurance": "assurance (over all constants)",
        "power": "power (constants at their mean)",
        "type_one_error": "type I error (declared better though inert)",
    }
    for key, label in labels.items():
        table.add_row(label, f"{100 * summary[key]['value']:.1f} % ± {100 * summary[key]['mc_se']:.1f}")
    error = summary["numerical_error"]
    table.add_row(
        "error of the time grid", f"{error['max_points']:.4f} points ({error['checked_patients']} patients)"
    )
    return table


def further_tables(summary: dict[str, Any]) -> "list[Table]":
    """Make tables of looks, comparisons, estimands, factors and doses, where the trial file asks for several."""
    tables = []
    if len(summary["looks"]) > 1:
        tables.append(looks_table(summary))
    if len(summary["comparisons"]) > 1:
        rows = {f"{c['experimental']} minus {c['comparator']}": c for c in summary["comparisons"]}
        tables.append(_answers("All comparisons, sharing alpha", rows))
    if len(summary["estimands"]) > 1:
        rows = {name.replace("_", " "): answer for name, answer in summary["estimands"].items()}
        tables.append(_answers("Estimands, on the same patients", rows))
    if summary["factorial"] is not None:
        tables.append(_answers("Effects of the factorial design", summary["factorial"]))
    if summary["dose_response"] is not None:
        tables.append(doses_table(summary["dose_response"]))
    if summary["secondary"] is not None:
        tables += secondary_tables(summary["secondary"])
    return tables


def _plain_table(title: str, headings: list[str]) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _percent(found: dict[str, float]) -> str:
    return f"{100 * found['value']:.1f} % ± {100 * found['mc_se']:.1f}"


def looks_table(summary: dict[str, Any]) -> "Table":
    """Bounds of each look, and the share of trials that stop there over all constants."""
    size = summary["sample_size"]
    title = f"Looks; of at most {size['maximal']} patients, {size['assurance']['mean']:.0f} are randomised on average"
    table = _plain_table(
        title, ["look", "patients", "shown from z", "given up to z", "shown", "given up", "ends"]
    )
    for look in summary["looks"]:
        z = ["-" if look[key] is None else f"{look[key]:.3f}" for key in ("efficacy_z", "futility_z")]
        stop = look["stopping"]["assurance"]
        shares = (f"{100 * stop[key]:.1f} %" for key in ("efficacy", "futility", "ends_here"))
        table.add_row(f"{100 * look['information']:.0f} %", str(sum(look["patients"].values())), *z, *shares)
    return table


def _answers(title: str, rows: dict[str, dict[str, Any]]) -> "Table":
    table = _plain_table(title, ["", "difference", "assurance", "power", "type I error"])
    for name, answer in rows.items():
        estimate = answer["estimate"]
        table.add_row(
            name,
            _interval(estimate["mean"], estimate["q025"], estimate["q975"]),
            *(_percent(answer[key]) for key in ("assurance", "power", "type_one_error")),
        )
    return table


def secondary_tables(found: dict[str, Any]) -> "list[Table]":
    """Make tables of the odds ratios of responders, and of how long a response lasts."""
    scenarios = ("assurance", "power", "type_one_error")
    tables = []
    if found["responders"]:
        words = {"non_responder": "not seen counts as no", "left_out": "those seen"}[found["missing"]]
        table = _plain_table(
            f"Responders ({words}), odds ratio; not adjusted for multiplicity",
            ["", "odds ratio", "assurance", "power", "type I error"],
        )
        for name, answer in found["responders"].items():
            for method in ("logistic", "cmh"):
                odds = answer[method]["odds_ratio"]
                shown = (
                    "-" if odds is None else f"{odds['median']:.2f} ({odds['q025']:.2f}, {odds['q975']:.2f})"
                )
                label = f"{name.replace('_', ' ')}, {method}"
                table.add_row(label, shown, *(_percent(answer[method][key]) for key in scenarios))
        tables.append(table)
    if (loss := found["time_to_loss"]) is not None:
        chances = ", ".join(
            f"{words} {_percent(loss['log_rank'][key])}"
            for key, words in zip(scenarios, ("assurance", "power", "type I error"), strict=True)
        )
        table = _plain_table(
            f"Time to loss of response; later in the experimental arm by the log-rank test: {chances}",
            ["arm", "respond", "kept at the end", "median, months", "reached in"],
        )
        for name, arm in loss["arms"].items():
            kept, median = arm["kept"], arm["median_months"]
            table.add_row(
                name,
                f"{100 * arm['responders']['mean']:.0f} %",
                f"{100 * kept[-1]['mean']:.0f} %" if kept else "-",
                "-" if median is None else f"{median:.1f}",
                f"{100 * arm['median_reached']['value']:.0f} %",
            )
        tables.append(table)
    return tables


def doses_table(found: dict[str, Any]) -> "Table":
    """How often each dose is picked."""
    shown = _percent(found["assurance"]["shown"])
    title = f"Doses, million cells; a dose response is shown in {shown} of trials"
    table = _plain_table(title, ["dose picked", "million cells", "assurance", "power", "type I error"])
    for name in found["assurance"]["picked"]:
        dose = f"{found['doses'][name]:g}" if name in found["doses"] else ""
        shares = (_percent(found[key]["picked"][name]) for key in ("assurance", "power", "type_one_error"))
        table.add_row(name, dose, *shares)
    return table
