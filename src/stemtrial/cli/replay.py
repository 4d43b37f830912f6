"""The ``replay`` verb."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli.simulate import Device, Precision

if TYPE_CHECKING:
    from rich.table import Table


LEGEND = """gr: radiographic grade; left, resc: month of the first visit missed, and of the start of rescue medicine
ctx, drug, infl, str, sens: pain truly taken away by context, drugs, inflammation, structure, sensitisation"""


def replay(
    trial: Annotated[Path, typer.Argument(metavar="TRIAL", help="Trial file (YAML).")],
    replicate: Annotated[
        int, typer.Option("--replicate", min=0, max=999_999, help="Virtual trial, counted from 0.")
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the run.")],
    precision: Annotated[
        Precision, typer.Option("--precision", help="Floating point of the run.")
    ] = Precision.double,
    device: Annotated[Device, typer.Option("--device", help="Where courses are computed.")] = Device.cpu,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Replay one virtual trial of a run, patient by patient, with its own analysis."""
    import numpy as np
    from rich.console import Console

    from stemtrial.documents import Document
    from stemtrial.simulation import Numerics
    from stemtrial.trial.protocol import Trial
    from stemtrial.trial.replay import replay as again
    from stemtrial.trial.run import planned

    source = Document.read(trial)
    numerics = Numerics(
        dtype=np.float64 if precision is Precision.double else np.float32, device=device.value
    )
    plan = planned(source.validate(Trial), source, numerics)
    document = again(plan, seed, replicate).document(plan)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    console = Console()
    endpoint = document["endpoint"]
    console.print(f"{document['trial']}: virtual trial {replicate}", highlight=False, soft_wrap=True)
    console.print(
        f"base, end, chg: {endpoint['instrument']} (0-100, lower is better) at screening, in month "
        f"{endpoint['month']:g}, and its change\n" + LEGEND,
        highlight=False,
        soft_wrap=True,
    )
    for arm in document["analysed"]:
        console.print(_patients(arm, [p for p in document["patients"] if p["arm"] == arm]))
    for line in _analysis(document):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"[bold]{document['calibration']}[/bold]: not for decisions. Seed {seed}.")


def _shown(value: float | None, form: str = "{:.0f}", absent: str = "") -> str:
    return absent if value is None else form.format(value + 0.0)


def _patients(arm: str, patients: list[dict[str, Any]]) -> "Table":
    """Table of the patients of an arm."""
    from rich.box import SIMPLE
    from rich.table import Table

    events = any(patient["events"] for patient in patients)
    table = Table(title=arm, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    for heading in (
        "no", "age", "gr", "base", "end", "chg", "ctx", "drug", "infl", "str", "sens", "left", "resc",
        *(["event"] if events else []),
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for patient in patients:
        happened = [f"{kind} {month:g}" for kind, month in patient["events"].items()]
        table.add_row(
            str(patient["patient"]),
            _shown(patient["age"]),
            f"{patient['grade']}",
            _shown(patient["baseline"]),
            _shown(patient["outcome"], absent="-"),
            _shown(patient["change"], "{:+.0f}"),
            *(_shown(value, "{:.1f}") for value in patient["relief"].values()),
            _shown(patient["left_by_month"], "{:g}"),
            _shown(patient["rescue_month"], "{:g}"),
            *([", ".join(happened)] if events else []),
        )
    return table


def _analysis(document: dict[str, Any]) -> list[str]:
    """Return the analysis of the virtual trial in words."""
    found, (experimental, comparator) = document["results"], document["compare"]
    seen = ", ".join(f"{name} {n}" for name, n in document["analysed"].items())
    lines = [f"Analysed: {seen} ({document['analysis']}, {document['estimand']})"]
    if found["estimate"] is None:
        return [*lines, "The analysis was not possible."]
    outcome = "shown" if found["success"] else "not shown"
    by_visit = ", ".join(
        f"month {m}: {_shown(d, '{:+.2f}', '-')}" for m, d in found["estimate_by_visit"].items()
    )
    mcid, response = document["responders"]["mcid"], document["response"]
    shares = ", ".join(f"{arm} {100 * share:.0f} %" for arm, share in mcid["shares"].items())
    odds, p = (_shown(mcid["logistic"][k], f, "-") for k, f in (("odds_ratio", "{:.2f}"), ("p", "{:.3g}")))
    losses = ", ".join(
        f"{arm} {response[arm]['losses']} of {response[arm]['responders']}" for arm in mcid["shares"]
    )
    return [
        *lines,
        f"{experimental} minus {comparator}: {found['estimate']:+.2f} (standard error {found['se']:.2f}, "
        f"p = {found['p']:.3g}), effect {outcome}",
        f"  by visit: {by_visit}",
        f"  truly: specific {found['specific']:+.2f}, contextual {found['contextual']:+.2f}",
        f"Responders (MCID, not seen counts as no): {shares}; odds ratio {odds}, p = {p}",
        f"Response lost: {losses}; log-rank p = {_shown(response['log_rank_p'], '{:.3g}', '-')}",
    ]
