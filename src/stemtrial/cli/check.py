"""The ``check`` verb: validate a trial file or a candidate's record and say what it describes."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.candidate.intake import Intake
    from stemtrial.documents import Document as Source
    from stemtrial.population.spec import Covariate
    from stemtrial.trial.protocol import Trial


def check(
    file: Annotated[
        Path,
        typer.Argument(
            help="Trial file (YAML, JSON), or candidate (YAML, JSON, CSV, FHIR bundle).", show_default=False
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Validate a trial or candidate file: print what it describes, or every fault with its line (exit code 2)."""
    try:
        found = _candidates(file) if _is_candidate(file) else _trial(file)
    except InputError as error:
        if not as_json:
            raise
        problems = [_plain(problem) for problem in error.problems]
        typer.echo(
            json.dumps({"valid": False, "file": str(file), "problems": problems}, indent=2, allow_nan=False)
        )
        raise typer.Exit(error.exit_code) from None
    document, lines = found
    typer.echo(json.dumps(document, indent=2, allow_nan=False) if as_json else "\n".join(lines))


def _is_candidate(file: Path) -> bool:
    """Tell a candidate from a trial by the fields that only one of them has; in doubt it is a trial."""
    from stemtrial.documents import Document

    if file.suffix.lower() == ".csv":
        return True
    if not file.is_file():
        return False
    try:
        names = {str(name) for name in Document.read(file).data}
    except InputError:
        return False
    from stemtrial.candidate.record import Candidate
    from stemtrial.trial.protocol import Trial

    of_trial, of_person = set(Trial.model_fields), set(Candidate.model_fields)
    return "resourceType" in names or len(names & of_person - of_trial) > len(names & of_trial - of_person)


def _trial(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Read a trial file; return what ``--json`` prints, and the readable lines."""
    from stemtrial.documents import Document
    from stemtrial.trial.capability import unavailable
    from stemtrial.trial.protocol import Trial, one_arm

    source = Document.read(file)
    if one_arm(source.data):
        return _single_arm(source, file)
    trial = source.validate(Trial)
    notes = [f"note: {problem}" for problem in unavailable(trial)]
    return _document(trial, file), [*_summary(trial, file), *notes]


def _single_arm(source: "Source", file: Path) -> tuple[dict[str, Any], list[str]]:
    """Check the file of a single-arm trial; as :func:`_trial`."""
    from stemtrial.trial.capability import unavailable
    from stemtrial.trial.singlearm import STATEMENT, SingleArmTrial

    trial = source.validate(SingleArmTrial)
    twin, goal = trial.against_inert(), trial.question.goal
    tested = f"more than {goal.improvement:g} points of improvement" if goal else "none: nothing is tested"
    head, rest = f"{trial.indication}, one arm, {twin.horizon_months:g} months", trial.arms[trial.arm]
    rows = [
        ("design", head),
        ("patients", f"{trial.n} enrolled"),
        ("arm", f"{trial.arm}, n = {trial.n}"),
        *(("", f"  {treatment}") for treatment in rest.treatments),
        ("endpoint", f"{trial.question.endpoint.instrument} at month {trial.question.endpoint.month:g}"),
        ("goal", tested),
    ]
    document = {
        "valid": True,
        "kind": "single_arm_trial",
        "file": str(file),
        "hash": trial.hash,
        "n": trial.n,
        "horizon_months": twin.horizon_months,
        "statement": STATEMENT,
        "trial": trial.model_dump(mode="json"),
    }
    lines = [f"{label:<10}{text}" for label, text in rows]
    notes = [f"note: {problem}" for problem in unavailable(twin)]
    return document, [trial.title, *lines, STATEMENT, f"{file} is a valid single-arm trial", *notes]


def _candidates(file: Path) -> tuple[dict[str, Any], list[str]]:
    """Read a candidate, or a table of them; as :func:`_trial`."""
    from datetime import date

    from stemtrial.candidate.assessment import followed_option, known
    from stemtrial.candidate.intake import read_candidates

    found = read_candidates(file, date.today())
    for intake in found:
        followed_option(intake.record)
    people = [
        {
            "row": intake.row,
            "assessed": intake.assessed.isoformat(),
            "record": known(intake.record),
            "unmapped": list(intake.unmapped),
            "ignored_fields": intake.ignored,
        }
        for intake in found
    ]
    lines = [line for intake in found for line in _person(intake)]
    one = "a valid candidate" if len(found) == 1 else f"a valid table of {len(found)} candidates"
    document = {"valid": True, "kind": "candidate", "file": str(file), "candidates": people}
    return document, [*lines, f"{file} is {one}"]


def _person(intake: "Intake") -> list[str]:
    """Say how much of a person is known, without naming anybody."""
    from stemtrial.candidate.assessment import known
    from stemtrial.candidate.record import Candidate

    record = intake.record
    head = f"row {intake.row}: " if intake.row is not None else ""
    told = set(known(record)) - {"indication", "date", "history_complete", "treated", "visits"}
    rows = [f"{head}{record.indication}, assessed {intake.assessed}"]
    rows.append(
        f"  known     {', '.join(name for name in Candidate.model_fields if name in told) or 'nothing'}"
    )
    if record.treated is not None:
        rows.append(f"  followed  {record.treated}, {len(record.visits)} visits")
    if intake.ignored:
        rows.append(f"  left out  {intake.ignored} fields that identify a person")
    return rows + [f"  not mapped: {line}" for line in intake.unmapped]


def _plain(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON data; a value that JSON cannot hold is given as text."""
    plain = asdict(problem) | {"message": str(problem)}
    if isinstance(problem.value, float) and not math.isfinite(problem.value):
        plain["value"] = str(problem.value)
    return plain


def _document(trial: "Trial", file: Path) -> dict[str, Any]:
    return {
        "valid": True,
        "kind": "trial",
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
    if question.stop_when is not None:
        rows.append(("stops", f"at a look with {question.stop_when.replace('_', ' ')}"))
    if (asked := question.secondary) is not None:
        parts = [*asked.responders, *(["time_to_loss"] if asked.time_to_loss else [])]
        rows.append(("second", ", ".join(parts)))
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
    if (over := conduct.crossover) is not None:
        who = f"{over.share:.0%} of {over.from_arm} above pain {over.pain_above:g}"
        rows.append(("crossover", f"{who} to {over.to_arm}, from month {over.from_month:g}"))
    if conduct.visit_window_days is not None:
        rows.append(("windows", f"visits within {conduct.visit_window_days:g} days of their day"))
    if (drawn := trial.randomisation) is not None:
        sizes = f"s of {', '.join(map(str, drawn.block_sizes))}" if drawn.block_sizes else ""
        within = f" within {', '.join(drawn.strata)}" if drawn.strata else ""
        adjusted = "; analysis adjusted for strata" if drawn.adjusted else ""
        rows.append(("arms by", f"{drawn.method}{sizes}{within}{adjusted}"))
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
