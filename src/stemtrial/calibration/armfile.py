"""Arms that a user describes in a CSV file: those to predict, and those to fit to.

One row is an arm and a visit, in the columns :data:`~stemtrial.calibration.armcolumns.COLUMNS`; a file to fit to adds
:data:`~stemtrial.calibration.armcolumns.FIT_COLUMNS`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from stemtrial.calibration.armcolumns import COLUMNS, FIT_COLUMNS, Rows, read_rows
from stemtrial.calibration.arms import Reading, TrialArm
from stemtrial.calibration.given import POOLED, Given, given, grades_of
from stemtrial.errors import InputError, Problem

_OF_VISIT = ("time_months", "n", "instrument", "follow_up_mean", "change_mean", "sd", "se")
_OF_TRIAL = ("indication", "blinding", "risk_of_bias", "design")
_OF_CELLS = ("cell_source", "origin", "product", "dose_million_cells")
_COLUMN_OF = {
    "source": "cell_source",
    "dose_million": "dose_million_cells",
    "months": "injection_times_months",
}


class PredictionRow(NamedTuple):
    """A row of a file to predict: its arm, and the month of the visit."""

    arm: TrialArm
    month: float


def read_prediction_file(path: str | Path) -> list[PredictionRow]:
    r"""Read the arms and visits to predict, in the order of the file.

    Rows of one arm share one :class:`~stemtrial.calibration.arms.TrialArm`. An arm for which the model has no input has
    no schedule, and ``no_input`` says why. As a file does not say whether a trial was randomised, trials of two or more
    arms count as randomised.

    Raises
    ------
    InputError
        With every fault of the file: its row, column, value and what is allowed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "arms.csv"
    ...     _ = file.write_text("trial_id,arm_id,indication,intervention,time_months\nt,a,knee_oa,saline,6\n")
    ...     ((arm, month),) = read_prediction_file(file)
    >>> arm.arm_id, month
    ('a', 6.0)
    """
    name, rows = str(path), read_rows(Path(path), COLUMNS)
    arms = _arms(name, rows, ("time_months",))
    return [PredictionRow(arms[_key(row)], row["time_months"]) for _, row in rows]


def read_fit_file(path: str | Path) -> tuple[TrialArm, ...]:
    """Read a user's arms with their readings, to add to others by :meth:`stemtrial.calibration.arms.Arms.plus`.

    Every row gives ``follow_up_mean``, ``change_mean`` or both. With both, the follow-up is the reading, and their
    difference stands in for a baseline that is not given. Of ``sd`` and ``se`` each follows from the other and ``n``,
    which may differ between visits. Without ``design``, trials of two or more arms count as randomised.

    Raises
    ------
    InputError
        As :func:`read_prediction_file`, and for rows without a reading.
    """
    name, rows = str(path), read_rows(Path(path), {**COLUMNS, **FIT_COLUMNS})
    problems = [
        Problem(
            "has no reading",
            file=name,
            row=number,
            allowed="follow_up_mean or change_mean",
            hint="fill one of them, or remove the row",
        )
        for number, row in rows
        if row["follow_up_mean"] is None and row["change_mean"] is None
    ]
    problems += [
        Problem(
            f"contradicts follow_up_mean: the baseline would be {row['follow_up_mean'] - row['change_mean']:g}",
            file=name,
            row=number,
            column="change_mean",
            value=row["change_mean"],
            allowed="a baseline of 0 to 100",
            hint="a change is follow-up less baseline, negative when patients improved",
        )
        for number, row in rows
        if None not in (row["follow_up_mean"], row["change_mean"])
        and not 0 <= row["follow_up_mean"] - row["change_mean"] <= 100
    ]
    if problems:
        raise InputError(*problems)
    arms = _arms(name, rows, _OF_VISIT)
    return tuple(
        _with_readings(arm, [(number, row) for number, row in rows if _key(row) == key])
        for key, arm in arms.items()
    )


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["trial_id"], row["arm_id"]


def _arms(name: str, rows: Rows, of_visit: tuple[str, ...]) -> dict[tuple[str, str], TrialArm]:
    """Return the arms of a file by trial and arm, or every contradiction between and within its rows."""
    first: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    of_trial: dict[str, tuple[int, dict[str, Any]]] = {}
    visits: dict[tuple[str, str, float], int] = {}
    problems: list[Problem] = []

    def differs(
        columns: Iterable[str], number: int, row: dict[str, Any], start: int, other: dict[str, Any]
    ) -> None:
        for column in columns:
            if row.get(column) != other.get(column):
                value = "empty" if row[column] is None else row[column]
                given_first = "empty" if other[column] is None else other[column]
                noun = "trial" if column in _OF_TRIAL else "arm"
                problems.append(
                    Problem(
                        f"differs from row {start} of the same {noun}",
                        file=name,
                        row=number,
                        column=column,
                        value=value,
                        allowed=str(given_first),
                        hint=f"make the rows of the {noun} agree",
                    )
                )

    for number, row in rows:
        start, other = of_trial.setdefault(row["trial_id"], (number, row))
        differs(_OF_TRIAL, number, row, start, other)
        start, other = first.setdefault(_key(row), (number, row))
        own = [column for column in row if column not in (*of_visit, *_OF_TRIAL)]
        differs(own, number, row, start, other)
        earlier = visits.setdefault((*_key(row), row["time_months"]), number)
        if earlier != number:
            what, hint = f"repeats row {earlier}: the same arm and visit", "keep one number a visit"
            problems.append(Problem(what, file=name, row=number, column="time_months", hint=hint))
    members = [trial_id for trial_id, _ in first]
    arms = {}
    for key, (number, row) in first.items():
        try:
            arms[key] = _arm(row, members.count(key[0]))
        except InputError as error:
            problems += [
                replace(p, file=name, row=number, field=None, column=_COLUMN_OF.get(p.field or "", p.field))
                for p in error.problems
            ]
    if problems:
        raise InputError(*problems)
    return arms


def _arm(row: Mapping[str, Any], arms_of_trial: int) -> TrialArm:
    """Return the arm of a row, without readings; problems name the row's columns or parameters of ``given``."""
    indication = next(model for model, words in POOLED.items() if row["indication"] in words)
    problems: list[Problem] = []
    if row["intervention"] != "cell_therapy":
        problems += [
            Problem(
                "describes cells in an arm without cells", field=column, value=row[column], allowed="empty"
            )
            for column in _OF_CELLS
            if row[column] is not None
        ]
    grades, notes = None, []
    if text := row["severity_distribution"]:
        try:
            grades = grades_of(text, indication)
        except ValueError as error:
            allowed = "grades and counts such as 2:12;3:18"
            problems.append(Problem(str(error), field="severity_distribution", value=text, allowed=allowed))
        if grades is None:
            notes.append(f"grades on another scale: {text}")
    treatment = Given(None)
    try:
        treatment = given(
            indication,
            row["intervention"],
            source=row["cell_source"],
            origin=row["origin"],
            product=row["product"],
            dose_million=row["dose_million_cells"],
            n_injections=row["n_injections"],
            months=row["injection_times_months"] or (),
        )
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(*problems)
    female = row["female_pct"]
    design = row.get("design")
    return TrialArm(
        trial_id=row["trial_id"],
        arm_id=row["arm_id"],
        indication=indication,
        intervention=row["intervention"],
        schedule=treatment.schedule,
        source=row["cell_source"],
        origin=row["origin"],
        product=row["product"],
        dose_million=row["dose_million_cells"],
        n=row["n"],
        age_mean=row["age_mean"],
        female=None if female is None else female / 100,
        bmi_mean=row["bmi_mean"],
        grades=grades,
        baseline_mean=row["baseline_pain_mean"],
        baseline_sd=row["baseline_pain_sd"],
        blinding=row["blinding"] or "unclear",
        risk_of_bias=row.get("risk_of_bias") or "unclear",
        randomised=design == "rct" if design else arms_of_trial > 1,
        assumed=(*treatment.assumed, *(() if design else ("design",))),
        notes=(*treatment.notes, *notes),
        no_input=treatment.reason,
    )


def _with_readings(arm: TrialArm, rows: Rows) -> TrialArm:
    readings, baselines = [], []
    for number, row in sorted(rows, key=lambda entry: float(entry[1]["time_months"])):
        level, change, n = row["follow_up_mean"], row["change_mean"], row["n"]
        sd, se = row["sd"], row["se"]
        if level is not None and change is not None:
            baselines.append(level - change)
        readings.append(
            Reading(
                month=row["time_months"],
                instrument=row["instrument"] or "VAS",
                kind="change" if level is None else "level",
                statistic="mean",
                value=change if level is None else level,
                sd=se * math.sqrt(n) if sd is None and se and n else sd,
                se=sd / math.sqrt(n) if se is None and sd and n else se,
                n=n,
                reference_id="user",
                row=number,
            )
        )
    baseline, notes = arm.baseline_mean, arm.notes
    if baseline is None and baselines:
        baseline = sum(baselines) / len(baselines)
        notes = (*notes, "baseline mean from follow-up less change")
    n = max((reading.n for reading in readings if reading.n), default=None)
    return replace(arm, readings=tuple(readings), n=n, baseline_mean=baseline, notes=notes)
