"""The ``design`` verb."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from stemtrial.trial.curves import Answer, Curve, Search
    from stemtrial.trial.plan import Plan

STEPS = 8


SHARES = (0.33, 0.4, 0.5, 0.6, 0.67, 0.75)
"""Shares of patients in the experimental arm that are compared."""


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
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for a report, with boundaries and what drives the chance of success."
        ),
    ] = None,
    posterior: Annotated[
        Path | None, typer.Option("--posterior", help="A posterior of your own; by default the shipped one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Find the number of patients for a chance of success: curves of assurance and power over size."""
    import math
    import os
    import time

    import numpy as np

    from stemtrial.calibration.belief import belief
    from stemtrial.cli.progress import bar_with_compiler
    from stemtrial.documents import Document
    from stemtrial.trial.declared import declared
    from stemtrial.trial.protocol import Trial
    from stemtrial.trial.run import claim, planned
    from stemtrial.trial.search import search

    started = time.perf_counter()
    source = Document.read(trial)
    protocol = source.validate(Trial)
    known = belief(protocol.indication, posterior) if posterior else None
    plan = planned(protocol, source, known=known)
    if out is not None:
        claim(out)
    control, treated = (plan.trial.arms[arm].n for arm in plan.trial.question.compare[::-1])
    every = [plan.trial.arms[arm].n for arm in plan.compared]
    first = plan.looks.design.information[0]
    needed = math.ceil(4.5 / first * sum(every) / min(every))
    smallest = min(max(24, needed), largest // 2)
    sizes = sorted({int(round(n / 2) * 2) for n in np.geomspace(smallest, largest, STEPS)})
    shares = [s for s in SHARES if first * (control + treated) * min(s, 1 - s) >= 4.5]
    cores = workers or os.cpu_count() or 1
    with bar_with_compiler() as progress:
        task = progress.add_task("sizes", total=replicates)
        found = search(
            plan, sizes, replicates, seed, cores, lambda n: progress.update(task, completed=n), shares
        )
        own = None
        if out is not None:
            task = progress.add_task("as declared", total=replicates)
            own = declared(
                plan, target, replicates, seed, cores, lambda n: progress.update(task, completed=n)
            )
    document = _document(found, target, seed, replicates, plan.belief.label) | (
        {"declared": own} if own else {}
    )
    if out is not None and own is not None:
        _write(out, plan, found, document, source.text, trial, time.perf_counter() - started)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    _print(plan.trial.title, found, target, seed, replicates, plan.belief.label)
    if out is not None:
        typer.echo(f"Report: {out / 'report.html'}")


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
        "stopping": {name: shares.tolist() for name, shares in found.stopping.items()},
        "expected": {name: mean.tolist() for name, mean in found.expected.items()},
        "allocation": None
        if found.allocation is None
        else {
            "n": found.allocation.n,
            "experimental": list(found.allocation.experimental),
            "best": found.allocation.best,
            "curves": {name: plain(curve) for name, curve in found.allocation.curves.items()},
        },
        "further": [
            {
                "kind": one.kind,
                "name": one.name,
                "answers": {
                    name: asdict(one.curves[name].size_for(target)) for name in ("assurance", "power")
                },
                "curves": {name: plain(curve) for name, curve in one.curves.items()},
            }
            for one in found.further
        ],
    }


def _sentences(found: "Search", target: float) -> list[str]:
    """Answer what was asked, in sentences."""
    said = [
        f"{name} of {100 * target:g} %: {_sentence(answer)}"
        for name, answer in _answers(found, target).items()
    ]
    month, best = found.months[found.main], found.best_month
    if best != month:
        said.append(f"The largest trial would be most likely to succeed at month {best:g}.")
    if (split := found.allocation) is not None:
        curve = split.curves["assurance"]
        at = split.experimental.index(split.best)
        said.append(
            f"Of the shares tried, {100 * split.best:.0f} % of {split.n} patients in the experimental arm has the "
            f"highest assurance, {100 * curve.share[at]:.1f} % ({100 * curve.low[at]:.1f}, {100 * curve.high[at]:.1f})."
        )
    return said


def _write(
    out: Path, plan: "Plan", found: "Search", document: dict[str, Any], text: str, trial: Path, seconds: float
) -> None:
    """Write the folder of a design, whole or not at all."""
    import shutil
    import tempfile

    from stemtrial.evidence import load
    from stemtrial.report import designpage
    from stemtrial.trial.drivers import Driver
    from stemtrial.trial.run import put_in_place, seal, write_json

    own, out = document["declared"], out.absolute()
    said = [f"{sentence[:1].upper()}{sentence[1:]}" for sentence in _sentences(found, document["target"])]
    options = (
        f"--target {document['target']:g} --seed {document['seed']} --replicates {document['replicates']}"
    )
    command = (
        f"stemtrial design {trial} {options} --max-n {found.curves['power'][0].sizes[-1]} --out {out.name}"
    )
    page = designpage.DesignPage(
        plan.trial.title, text, document["target"], tuple(said), found, own["looks"],
        [Driver(**d) for d in own["drivers"]], own["mean_chance"], own["power_function"], tuple(_facts(own)),
        plan.belief.label, command, document["seed"], document["replicates"],
    )  # fmt: skip
    identity = {
        "evidence_hash": load().hash, "posterior_hash": plan.belief.fingerprint, "seed": document["seed"],
        "replicates": document["replicates"],
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        write_json(made / "design.json", document)
        (made / "trial.yaml").write_text(text, encoding="utf-8")
        seal(made, command, plan.trial, identity, round(seconds, 3))
        designpage.write(made / "report.html", page)
        made.chmod(0o755)
        put_in_place(made, out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _facts(own: dict[str, Any]) -> list[tuple[str, str]]:
    """Operating characteristics of the trial as declared, named."""

    def share(found: dict[str, float]) -> str:
        return f"{100 * found['value']:.1f} % ± {100 * found['mc_se']:.1f}"

    size, estimate, factor = own["sample_size"], own["estimation"], own["boundary_factor"]
    benefit = own["detectable_benefit"]
    facts = [
        ("Patients randomised, at most", f"{size['maximal']}"),
        ("Patients randomised on average, over all constants", f"{size['assurance']['mean']:.0f}"),
        ("Assurance", share(own["assurance"])),
        ("Power", share(own["power"])),
        (
            "Smallest true benefit with the chance of success wanted, points",
            f"more than {own['power_function'][-1]['benefit']:g}" if benefit is None else f"{benefit:.1f}",
        ),
        ("Type I error, treatment under question inert", share(own["type_one_error"])),
        ("Type I error at the margin", share(own["type_one_error_at_margin"])),
        ("Bias of the estimate, points", f"{estimate['bias']:+.2f} ± {estimate['bias_mc_se']:.2f}"),
        (f"Coverage of the {100 * estimate['confidence']:g} % interval", share(estimate["coverage"])),
        ("Misleading conclusion", share(own["misleading"])),
    ]
    if "factor" in factor:
        interval = f"{factor['factor']:.3f} ({factor['low']:.3f}, {factor['high']:.3f})"
        facts.append(("Factor on the bounds for an exact level, with Monte-Carlo interval", interval))
    if own["duration"] is not None:
        facts.append(("Duration, months", f"{own['duration']['assurance']['mean']:.1f}"))
    if own["cost"] is not None:
        facts.append((f"Cost, {own['cost']['currency']}", f"{own['cost']['assurance']['mean']:,.0f}"))
    return facts


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
    if found.further:
        console.print(_further_table(found, target))
    for sentence in _sentences(found, target):
        console.print(sentence, soft_wrap=True)
    console.print(
        f"[bold]{label}[/bold]: not for decisions. Seed {seed}, {replicates} virtual trials.", soft_wrap=True
    )


def _further_table(found: "Search", target: float) -> "Table":
    """Chances of every comparison, factor and dose in the largest trial, and the size at which each is as wanted."""
    from rich.box import SIMPLE
    from rich.table import Table

    largest = found.further[0].curves["assurance"].sizes[-1]
    title = (
        f"Everything the question asks\nChance with {largest} patients, %, and size for {100 * target:g} %"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold")
    for heading in ("assurance", "size", "power", "size", "type I error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.further:
        chances = {name: f"{100 * curve.share[-1]:.1f}" for name, curve in one.curves.items()}
        sizes = {name: one.curves[name].size_for(target).size for name in ("assurance", "power")}
        cells = [
            text
            for name, size in sizes.items()
            for text in (chances[name], f"> {largest}" if size is None else str(size))
        ]
        table.add_row(one.label, *cells, chances["type_one_error"])
    return table


def _sentence(answer: "Answer") -> str:
    if answer.size is None:
        return f"not reached; the largest trial considered has {100 * answer.ceiling:.0f} %"
    if answer.low == answer.size == answer.high:
        return f"{answer.size} patients or fewer, the smallest trial considered"
    above = "more than the largest" if answer.high is None else str(answer.high)
    return f"{answer.size} patients ({answer.low} to {above}, from the number of virtual trials)"
