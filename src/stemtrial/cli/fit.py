"""The ``fit`` verb: learn the constants of the model from the arms of published trials, and from one's own."""

import json
import shutil
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli.calibrating import Indication
from stemtrial.errors import Interrupted, NotCredibleError

if TYPE_CHECKING:
    from stemtrial.calibration.arms import Arms
    from stemtrial.calibration.comparators import PooledEffect
    from stemtrial.calibration.fit import Fit, Settings
    from stemtrial.calibration.preview import Preview


class StructureName(StrEnum):
    """Rival structures of the model."""

    paracrine = "paracrine"
    regenerative = "regenerative"
    contextual = "contextual"
    all = "all"


def fit(
    indication: Annotated[Indication, typer.Option("--indication", help="Whose trials to fit.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    arms: Annotated[
        Path | None, typer.Option("--arms", help="Arms of your own (CSV), beside the published ones.")
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Fit your arms alone.")] = False,
    structure: Annotated[
        StructureName, typer.Option("--structure", help="One structure, or all, compared and mixed.")
    ] = StructureName.all,
    draws: Annotated[int, typer.Option("--draws", min=25, max=100_000, help="Draws of each chain.")] = 1000,
    warmup: Annotated[
        int, typer.Option("--warmup", min=25, max=100_000, help="Iterations before them.")
    ] = 250,
    chains: Annotated[int, typer.Option("--chains", min=2, max=64, help="Chains.")] = 4,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, help="Chains at a time; by default one a core.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of all random draws.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier fit in the folder.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Fit the model to the arms of trials; an interrupted fit goes on from its last saved draws."""
    from stemtrial.calibration.comparators import comparator_effects
    from stemtrial.calibration.fit import Settings
    from stemtrial.calibration.fitfolder import arms_to_fit, identity, write_fit
    from stemtrial.calibration.fitrecord import Fitted
    from stemtrial.calibration.mixture import compare
    from stemtrial.calibration.preview import preview
    from stemtrial.calibration.structures import STRUCTURES
    from stemtrial.calibration.trialwise import trialwise
    from stemtrial.calibration.variants import NOT_RELEASED
    from stemtrial.cli.calibrating import claim, cores, finish, whole_folder, work_of
    from stemtrial.cli.output import command_line
    from stemtrial.cli.progress import bar
    from stemtrial.evidence import load

    started = time.perf_counter()
    claim(out, force)
    evidence = load()
    used, user_arms = arms_to_fit(evidence, indication.value, arms, only)
    pooled = comparator_effects(evidence, indication.value).effects
    names = list(STRUCTURES) if structure is StructureName.all else [structure.value]
    settings = Settings(chains, warmup, draws, seed)
    if indication.value in NOT_RELEASED:
        typer.echo(unreleased(used), err=True)
    with bar() as progress:
        progress.add_task("compiling and looking at what the arms can tell", total=None)
        seen = preview(used, pooled)
    typer.echo(expected(seen, len(user_arms), settings, len(names), cores(workers)), err=True)
    work = work_of(out, "fit")
    fits = {name: sample(used, pooled, name, settings, work, cores(workers)) for name in names}
    with bar() as progress:
        task = progress.add_task("comparing structures", total=len(names))
        parts = {}
        for name, found in fits.items():
            parts[name] = trialwise(found, seed)
            progress.advance(task)
    fitted = Fitted(used, user_arms, evidence.hash, settings, fits, compare(parts), seen)
    with whole_folder(out) as made:
        posterior, _, document = write_fit(made, fitted, arms, command_line())
        finish(made, document, identity(fitted, only), time.perf_counter() - started)
    shutil.rmtree(work, ignore_errors=True)
    if as_json:
        rows = fitted.best.contraction()
        typer.echo(json.dumps({
            "posterior": str(out / f"{indication.value}.posterior"), "fingerprint": posterior.fingerprint,
            "about": dict(posterior.about), "page": str(out / "calibration.html"), "constants": rows,
            "diagnostics": {name: f.diagnostics for name, f in fits.items()},
            "wall_seconds": round(time.perf_counter() - started, 1), "seed": seed,
        }, allow_nan=False))  # fmt: skip
        return
    show(document, posterior.label, out)
    typer.echo(f"Seed {seed}. Posterior: {out / f'{indication.value}.posterior'}")


def unreleased(arms: "Arms") -> str:
    """Say that no fit of an indication has passed, and how far these arms are from what one needs."""
    from stemtrial.calibration.release import LEAST_TRIALS, blinded_contrasts

    found = blinded_contrasts(arms.arms)
    return (
        f"no fit of {arms.indication} has passed the checks for release: the result is marked as not validated, and "
        f"only `predict` and `validate` take it; {len(found)} blinded trials compare cells with a sham or placebo "
        f"({', '.join(found) or 'none'}), {LEAST_TRIALS} or more are wanted"
    )


def sample(
    arms: "Arms",
    pooled: "tuple[PooledEffect, ...]",
    name: str,
    settings: "Settings",
    work: Path,
    workers: int,
) -> "Fit":
    """Sample a structure with a bar, and refuse draws that have not converged; what was drawn is kept."""
    from stemtrial.calibration.fit import fit as run
    from stemtrial.calibration.structures import STRUCTURES
    from stemtrial.cli.progress import bar

    try:
        with bar() as progress:
            task = progress.add_task(f"compiling and finding the mode, {name}", total=None)

            def tell(done: int, total: int) -> None:
                words = f"sampling, {name}" if done else f"compiling and finding the mode, {name}"
                progress.update(task, description=words, completed=done, total=total)

            found = run(arms, pooled, STRUCTURES[name], settings, work, workers, tell)
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(
            f"interrupted; draws are kept in {work}, and the same command goes on from there"
        ) from None
    try:
        found.require()
    except NotCredibleError as error:
        raise NotCredibleError(f"{name}: {error}; nothing was written") from None
    return found


def expected(seen: "Preview", own: int, settings: "Settings", structures: int, workers: int) -> str:
    """Say what will be learned from what, and how long it will take."""
    shared = seen.coordinates["constants"] + seen.coordinates["learned"]
    effects = sum(seen.coordinates.values()) - shared
    unprinted = {k: v for k, v in seen.coordinates.items() if k in ("baseline", "dose", "spread") and v}
    low, high = seen.minutes(settings, structures, workers)
    time = f"{low:.0f} to {high:.0f} minutes" if high > 1 else "less than a minute"
    words = {"baseline": "baselines of trials", "dose": "doses of arms", "spread": "SDs of trials"}
    lines = [
        f"{seen.trials} trials, {seen.arms} arms ({own} yours), {seen.readings} readings, {seen.pooled} pooled "
        f"effects; {sum(seen.left_out.values())} readings are left out",
        f"{shared} quantities shared by all trials and {effects} of single trials are learned",
        "unknown, thus learned: " + (", ".join(f"{n} {words[k]}" for k, n in unprinted.items()) or "nothing"),
        "not printed, in arms: "
        + (", ".join(f"{name} {n}" for name, n in seen.unknown.items()) or "nothing"),
        f"one gradient takes {1000 * seen.gradient_seconds:.1f} ms; expected {time} and some "
        f"for compiling ({structures} structures, {settings.chains} chains of {settings.warmup} + {settings.draws}, "
        f"{min(workers, settings.chains)} at a time)",
    ]
    if shared + effects > seen.readings:
        lines.append(
            "more is learned than was read: much will stay at its prior, and contraction.csv says what does"
        )
    lines.append(
        f"by the curvature at the mode these arms inform {len(seen.informed)} of the shared quantities"
        + (f": {', '.join(seen.informed)}" if seen.informed else "; what is predicted will be prior")
    )
    return "\n".join(lines)


def show(document: dict[str, Any], label: str, out: Path) -> None:
    """Print what was found: diagnostics, weights of structures, what the data moved."""
    from stemtrial.cli.terminal import console, heading, print_table

    view = console()
    view.print(label)
    heading(view, "Convergence")
    rows = [(d["name"], d["value"], d["limit"]) for d in document["diagnostics"] if d["met"] is not None]
    print_table(view, ("diagnostic", "value>", "limit"), rows)
    heading(view, "Structures, by what they say of trials left out")
    print_table(
        view, ("structure", "log score>", "from the best>", "worst k>", "best mixture>", "weight>"),
        [(s["name"], f"{s['elpd']:.1f}", f"{s['difference']:+.1f} ± {s['difference_se']:.1f}",
          "-" if s["worst_k"] is None else f"{s['worst_k']:.2f}", f"{100 * s['optimum']:.0f} %",
          f"{100 * s['weight']:.0f} %") for s in document["structures"]],
    )  # fmt: skip
    heading(view, "What the data moved most (1: all that was unknown is known; 0: prior)")
    most = sorted(document["constants"], key=lambda c: -c["contraction"])[:12]
    print_table(
        view, ("constant", "meaning", "posterior median (95 % interval)>", "contraction>"),
        [(c["symbol"], c["meaning"], "{median:.3g} ({low:.3g} to {high:.3g})".format(**c["posterior"]),
          f"{c['contraction']:.2f}") for c in most],
    )  # fmt: skip
    view.print(f"Report: {out / 'calibration.html'}", soft_wrap=True)
