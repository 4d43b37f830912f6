"""The ``validate`` verb: how good a fit is, on its own trials, on trials left out and on simulated ones."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli.calibrating import Indication
from stemtrial.errors import InputError, Interrupted, Problem

if TYPE_CHECKING:
    from stemtrial.calibration.credibility import Check
    from stemtrial.calibration.fitfolder import FitFolder
    from stemtrial.calibration.holdout import LeftOutTrials
    from stemtrial.calibration.simulated import Simulated
    from stemtrial.calibration.validation import Mechanism, Predictive


def validate(
    indication: Annotated[Indication, typer.Option("--indication", help="Whose trials were fitted.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    fit: Annotated[Path | None, typer.Option("--fit", help="Folder of the fit.")] = None,
    posterior: Annotated[
        Path | None,
        typer.Option("--posterior", help="Posterior inside the folder of its fit, in place of --fit."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=100, max=20_000, help="Draws of every check.")
    ] = 1000,
    sbc: Annotated[
        int,
        typer.Option(
            "--sbc", min=0, max=10_000, help="Fits of simulation-based calibration; 200 say enough."
        ),
    ] = 0,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit", help="Refit without trials whose reweighting is not to be trusted."
        ),
    ] = True,
    machinery: Annotated[
        bool,
        typer.Option(
            "--machinery/--no-machinery", help="Check solver, seed and comparators as well (a minute)."
        ),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=64, help="Processes of --sbc; by default one a core."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of all random draws.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier validation.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Check a fit: its own trials, each trial predicted from all others beside two baselines, simulated truths.

    An interrupted validation goes on where it stopped.
    """
    from stemtrial.calibration.fitfolder import read_fit
    from stemtrial.calibration.validation import MECHANISM
    from stemtrial.cli.calibrating import claim, cores, work_of
    from stemtrial.evidence import load

    started = time.perf_counter()
    claim(out, force)
    found = read_fit(folder_of(fit, posterior), load())
    if found.posterior.indication != indication.value:
        raise InputError(
            Problem(
                f"was fitted to {found.posterior.indication}", field="--indication", value=indication.value
            )
        )
    work = work_of(out, "validate")
    try:
        predictive, held_out, mechanism = on_trials(found, samples, seed, work, refit)
        verified = on_machinery(found, mechanism, seed) if machinery else {}
        simulated = on_simulated(sbc, seed, cores(workers), work) if sbc else None
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(
            f"interrupted; what was finished is kept in {work}, and the same command goes on from there"
        ) from None
    document = write(found, out, predictive, held_out, mechanism, simulated, verified, seed, started)
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
        return
    show(held_out, MECHANISM, document)
    typer.echo(f"Report: {out / 'calibration.html'}. Seed {seed}.")


def folder_of(fit: Path | None, posterior: Path | None) -> Path:
    """Return the folder of the fit to validate: the chains are needed, which a posterior alone does not hold."""
    if (fit is None) == (posterior is None):
        raise InputError(
            Problem(
                "is needed",
                field="--fit or --posterior",
                hint="name the folder that `stemtrial fit` has written",
            )
        )
    if fit is not None:
        return fit
    assert posterior is not None
    if not (posterior.parent / "chains").is_dir():
        raise InputError(
            Problem(
                "stands alone; its chains are needed to leave trials out", field="--posterior", value=str(posterior),
                hint="fit with `stemtrial fit`, and name its folder by --fit",
            )
        )  # fmt: skip
    return posterior.parent


def on_trials(
    found: "FitFolder", samples: int, seed: int, work: Path, refit: bool
) -> "tuple[Predictive, LeftOutTrials, Mechanism]":
    """Check a fit on its own trials and on each trial left out."""
    from stemtrial.calibration.sampling import in_double_precision
    from stemtrial.calibration.trialwise import DRAWS as MOST
    from stemtrial.calibration.trialwise import trialwise
    from stemtrial.calibration.validation import Mechanism, Refits, left_out, posterior_predictive
    from stemtrial.cli.progress import bar

    in_double_precision()
    with bar() as progress:
        task = progress.add_task("predicting the fitted trials", total=None)
        predictive = posterior_predictive(
            found.fits, found.posterior.about["structure_weights"], samples, seed
        )
        progress.update(task, description="reweighting without each trial")
        parts = {name: trialwise(each, seed, min(samples, MOST)) for name, each in found.fits.items()}
        mechanism = Mechanism(
            parts, seed, Refits(folder=work / "refits") if refit else None,
            lambda what, done, total: progress.update(
                task, description=f"refitting without {what}: {done} of {total}"
            ),
        )  # fmt: skip
        key = {"posterior": found.posterior.fingerprint, "refit": refit}
        held_out = left_out(
            found.arms.arms, mechanism, samples, seed, work / "left-out", key,
            lambda done, total, trial: progress.update(
                task, description="leaving out one trial after another", completed=done, total=total
            ),
        )  # fmt: skip
    return predictive, held_out, mechanism


def on_machinery(found: "FitFolder", mechanism: "Mechanism", seed: int) -> "dict[str, Check]":
    """Check the solver, the seed and comparators against published models, with the weightiest structure."""
    from stemtrial.calibration.validation import shape_without
    from stemtrial.calibration.verification import SHORT, comparators, numerical_error, same_draws
    from stemtrial.cli.progress import bar

    weights = found.posterior.about["structure_weights"]
    name = max(weights, key=lambda each: float(weights[each]))
    fit = found.fits[name]
    with bar() as progress:
        progress.add_task("checking solver and seed", total=None)
        return {
            "numerical_error": numerical_error(fit, seed),
            "published_models": comparators(fit),
            "reproducibility": same_draws(mechanism.sampler(name, SHORT), shape_without(fit, None), seed),
        }


def on_simulated(fits: int, seed: int, workers: int, work: Path) -> "Simulated":
    """Check the inference on truths that are known."""
    from stemtrial.calibration.simulated import Length, calibrate
    from stemtrial.cli.progress import bar

    with bar() as progress:
        task = progress.add_task("fitting simulated readings", total=fits)
        return calibrate(
            work / "simulated", fits, Length(), seed, workers,
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip


def write(
    found: "FitFolder",
    out: Path,
    predictive: "Predictive",
    held_out: "LeftOutTrials",
    mechanism: "Mechanism",
    simulated: "Simulated | None",
    verified: "dict[str, Check]",
    seed: int,
    started: float,
) -> dict[str, Any]:
    """Write the folder of a validation and return its JSON document."""
    import shutil

    from stemtrial.calibration.credibility import Check, record
    from stemtrial.calibration.fitfolder import write_csv, write_json, write_record
    from stemtrial.calibration.fitrecord import USE
    from stemtrial.calibration.validation import MECHANISM, checks, left_out_rows, to_dict
    from stemtrial.cli.calibrating import finish, whole_folder, work_of
    from stemtrial.cli.output import command_line

    page = found.document
    before = page["credibility"]
    known = {
        item["key"]: Check(item["verdict"], item["result"], item["limit"])
        for section in ("verification", "validation", "applicability", "uncertainty")
        for item in before[section] if item["verdict"] != "not available"
    }  # fmt: skip
    unreliable = sorted({t for part in mechanism.parts.values() for t in part.unreliable()})
    known |= verified | checks(predictive, held_out, mechanism.done, unreliable, simulated)
    stated = [text for text in before["limitations"] if not text.endswith((": not available.",))]
    stated = [text for text in stated if ": not met (" not in text]
    credible = record(before["subject"], before["fingerprint"], USE, known, stated)
    page |= {
        "command": command_line(),
        "predictive": predictive.trials(),
        "held_out": held_out.as_dict(MECHANISM, seed),
        "simulation_based": None
        if simulated is None
        else {"draws": simulated.kept, "ranks": {k: [int(r) for r in v] for k, v in simulated.ranks.items()}},
        "credibility": credible.as_dict(),
    }
    document = {
        "posterior": found.posterior.fingerprint, "label": found.posterior.label, "seed": seed,
        **to_dict(predictive, held_out, mechanism, simulated, seed), "credibility": credible.as_dict(),
    }  # fmt: skip
    with whole_folder(out) as made:
        write_json(made / "validation.json", document)
        write_csv(made / "left_out.csv", left_out_rows(held_out))
        write_json(made / "calibration.json", page)
        write_record(made, credible)
        identity = {
            "kind": "validation", "indication": found.posterior.indication,
            "posterior_hash": found.posterior.fingerprint,
            "evidence_hash": page["evidence_hash"], "arms_hash": found.arms.hash, "seed": seed,
        }  # fmt: skip
        finish(made, page, identity, time.perf_counter() - started)
    shutil.rmtree(work_of(out, "validate"), ignore_errors=True)
    return document


def show(held_out: "LeftOutTrials", mechanism: str, document: dict[str, Any]) -> None:
    """Print coverage and accuracy on trials left out, and what the record says."""
    from stemtrial.calibration.validation import difference
    from stemtrial.cli.terminal import console, heading, print_table

    view = console()
    view.print(document["label"])
    heading(view, "Each trial predicted from all others (baselines first)")
    ordered = sorted(held_out.scores, key=lambda s: (s.kind, s.predictor == mechanism))
    lines = []
    for s in ordered:
        se = "" if s.crps_by_trial_se is None else f" ± {s.crps_by_trial_se:.2f}"
        lines += [
            (f"{s.kind}s", s.predictor, f"{s.trials} trials", *(f"{100 * x:.0f} %" for x in s.coverage_by_trial),
             f"{s.crps_by_trial:.2f}{se}", f"{s.bias_by_trial:+.2f}"),
            ("", "", f"{s.rows} rows", *(f"{100 * c.share:.0f} %" for c in s.coverage),
             f"{s.crps:.2f} ± {s.crps_se:.2f}", f"{s.bias:+.2f}"),
        ]  # fmt: skip
    print_table(view, ("predicted", "model", "mean over", "50 %>", "80 %>", "95 %>", "CRPS>", "bias>"), lines)
    for kind in dict.fromkeys(s.kind for s in ordered):
        gap = held_out.against_best(mechanism, kind)
        view.print(f"CRPS of {kind}s: {mechanism} {difference(gap)}.")
    heading(view, "Credibility")
    items = [item for section in ("verification", "validation") for item in document["credibility"][section]]
    print_table(view, ("item", "verdict", "result"), [(i["title"], i["verdict"], i["result"]) for i in items])
