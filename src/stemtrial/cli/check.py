"""The ``check`` verb: validate a trial file and say what it describes."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.population.spec import Covariate
    from stemtrial.trial.protocol import Trial


def check(
    file: Annotated[Path, typer.Argument(help="Trial file, YAML or JSON.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Validate a trial file: print what it describes, or every fault with its line (exit code 2)."""
    from stemtrial.trial.capability import unavailable
    from stemtrial.trial.protocol import Trial

    try:
        trial = Trial.read(file)
    except InputError as error:
        if not as_json:
            raise
        problems = [_plain(problem) for problem in error.problems]
        typer.echo(
            json.dumps({"valid": False, "file": str(file), "problems": problems}, indent=2, allow_nan=False)
        )
        raise typer.Exit(error.exit_code) from None
    if as_json:
        typer.echo(json.dumps(_document(trial, file), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(_summary(trial, file)))
        for problem in unavailable(trial):
            typer.echo(f"note: {problem}")


def _plain(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON data; a value that JSON cannot hold is given as text."""
    plain = asdict(problem) | {"message": str(problem)}
    if isinstance(problem.value, float) and not math.isfinite(problem.value):
        plain["value"] = str(problem.value)
    return plain


def _document(trial: "Trial", file: Path) -> dict[str, Any]:
    return {
        "valid": True,
        "file": str(file),
        "hash": trial.hash,
        "comparator": trial.comparator,
        "experimental": trial.experimental,
        "ordered_arms": trial.ordered_arms,
        "n": trial.n,
        "horizon_months": trial.horizon_months,
        "trial": trial.model_dump(mode="json"),
    }


def _summary(trial: "Trial", file: Path) -> list[str]:
    """Return the lines of the readable summary, comparator first."""
    population, question, rescue = trial.population, trial.question, trial.conduct.rescue_analgesia
    blinding = "open" if trial.blinding == "open" else f"{trial.blinding}-blind"
    grading = "Kellgren-Lawrence" if population.kl_grade is not None else "Pfirrmann"
    grades = ", ".join(f"{grade}: {share:.0%}" for grade, share in population.severity.items())
    after = f"{rescue.drug} when pain is above {rescue.pain_above:g}" if rescue else "none"
    rows = [
        (
            "design",
            f"{trial.indication}, {len(trial.arms)} arms, {blinding}, {trial.horizon_months:g} months",
        ),
        ("patients", f"{trial.n} randomised, {population.female:.0%} women"),
        ("", f"age {_spread(population.age)}, BMI {_spread(population.bmi)}"),
        ("", f"baseline pain on 0-100, lower is better: {_spread(population.baseline_pain)}"),
        ("", f"{grading} grade {grades}"),
    ]
    roles = {trial.comparator: "comparator", trial.experimental: "experimental"}
    for name in trial.ordered_arms:
        arm = trial.arms[name]
        role = f" ({roles[name]})" if name in roles else ""
        rows.append(("arm", f"{name}{role}, n = {arm.n}"))
        rows.extend(("", f"  {treatment}") for treatment in arm.treatments)
    rows += [
        ("visits", "months " + ", ".join(f"{month:g}" for month in trial.visits_months)),
        ("dropout", f"{trial.conduct.dropout_by_month_12:.1%} by month 12"),
        ("rescue", after),
        (
            "endpoint",
            f"change of {question.endpoint.instrument} from baseline to month {question.endpoint.month:g}",
        ),
        ("question", f"{trial.experimental} against {trial.comparator}, estimand {question.estimand}"),
        ("analysis", f"{question.analysis}, {question.sides}-sided, alpha {question.alpha:g}"),
        *_further(trial),
    ]
    body = [f"  {label:<10}{text}".rstrip() for label, text in rows]
    return [trial.title, *body, f"{file} is a valid trial file (sha256 {trial.hash[:12]})"]


def _further(trial: "Trial") -> list[tuple[str, str]]:
    """Return what a trial may ask for beyond one comparison at its end."""
    question, conduct = trial.question, trial.conduct
    rows = []
    if (shown := question.hypothesis) is not None:
        rows.append(("to show", f"{shown.kind.replace('_', '-')}, margin {shown.margin:g} points"))
    if (interim := question.interim) is not None:
        shares = ", ".join(f"{at:.0%}" for at in interim.at)
        rule = interim.futility
        given_up = f"; {rule.kind.replace('_', '-')} futility" if rule is not None else ""
        rows.append(("looks", f"at {shares} and the end, {interim.spending}{given_up}"))
    for experimental, comparator in question.also_compare:
        rows.append(("also", f"{experimental} against {comparator} ({question.multiplicity})"))
    if question.also_estimands:
        rows.append(("also", f"estimands {', '.join(question.also_estimands)}"))
    if question.factorial is not None:
        rows.append(("factors", "cells and exercise, in arms " + ", ".join(question.factorial.arms)))
    if (ranging := question.dose_response) is not None:
        doses = ", ".join(f"{trial.dose(arm):g}" for arm in sorted(ranging.arms, key=trial.dose))
        shapes = ", ".join(candidate.shape for candidate in ranging.candidates)
        rows.append(("doses", f"{doses} million cells; shapes {shapes}; target {ranging.target:g} points"))
    for event in conduct.events:
        when = f"{event.by_month_12:.1%} by month 12 above pain {event.pain_above:g}"
        rows.append(("event", f"{event.kind.replace('_', ' ')}, {when}"))
    if (accrual := conduct.accrual) is not None:
        pace = f"{accrual.patients_per_site_month:g} patients a month each"
        rows.append(("accrual", f"{accrual.sites} sites, {pace}"))
    return rows


def _spread(covariate: "Covariate") -> str:
    low, high = (None if limit is None else f"{limit:g}" for limit in (covariate.min, covariate.max))
    if low and high:
        limits = f", {low} to {high}"
    else:
        limits = f", at least {low}" if low else f", at most {high}" if high else ""
    return f"{covariate.mean:g} (SD {covariate.sd:g}{limits})"
