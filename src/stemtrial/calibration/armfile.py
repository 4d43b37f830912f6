"""Arms that a user describes in a CSV file: those to predict, and those to fit to.

One row is an arm and a visit, in the columns of :data:`COLUMNS`; only identity, indication, intervention and month must
be filled. Vocabulary is that of the evidence tables; pain is on 0-100, lower better. A file to fit to adds
:data:`FIT_COLUMNS`. Other columns are not read, unless their name is close to one that is absent, which is an error.
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

from stemtrial.calibration.arms import Reading, TrialArm
from stemtrial.calibration.given import POOLED, TREATMENT_OF, WITHOUT_INPUT, Given, given, grades_of
from stemtrial.errors import InputError, Problem
from stemtrial.evidence import vocabulary
from stemtrial.mechanism.treatments import LARGEST_DOSE_MILLION, LONGEST_MONTHS, Origin, Product, Source
from stemtrial.scales import instrument

_Convert = Callable[[str], Any]


class _Refused(Exception):
    """A cell that cannot be used: what is wrong with it, and what is allowed."""

    def __init__(self, what: str, allowed: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.allowed, self.hint = what, allowed, hint


def _number(low: float, high: float = math.inf, *, above: bool = False, whole: bool = False) -> _Convert:
    def convert(text: str) -> float | int:
        allowed = f"{'above' if above else 'at least'} {low:g}"
        allowed += f" and at most {high:g}" if high < math.inf else ""
        allowed = ("a whole number, " if whole else "a finite number, ") + allowed
        try:
            value = float(text)
        except ValueError:
            raise _Refused("is not a number", allowed) from None
        if not math.isfinite(value):
            raise _Refused("is not a finite number", allowed)
        if whole and value != int(value):
            raise _Refused("is not a whole number", allowed)
        if not (value > low if above else value >= low) or value > high:
            raise _Refused("is out of range", allowed)
        return int(value) if whole else value

    return convert


def _word(words: Iterable[str]) -> _Convert:
    known = tuple(words)

    def convert(text: str) -> str:
        if text not in known:
            near = get_close_matches(text, known, n=1)
            hint = f"nearest: {near[0]}" if near else None
            raise _Refused("is not in the vocabulary", ", ".join(known), hint)
        return text

    return convert


def _months(text: str) -> tuple[float, ...]:
    month = _number(0, LONGEST_MONTHS)
    months = tuple(month(part.strip()) for part in text.split(";"))
    if any(later <= earlier for earlier, later in pairwise(months)):
        raise _Refused("are not in increasing order", "months separated by ;, such as 0;1;2")
    return months


def _instrument(text: str) -> str:
    try:
        found = instrument(text)
    except InputError as error:
        raise _Refused(error.problems[0].what, "an instrument of pain", error.problems[0].hint) from None
    if found.construct != "pain" or found.kind != "score":
        raise _Refused(f"measures {found.construct} as a {found.kind}", "an instrument of pain")
    return found.name


COLUMNS: Mapping[str, _Convert] = {
    "trial_id": str,
    "arm_id": str,
    "indication": _word(word for words in POOLED.values() for word in words),
    "intervention": _word((*TREATMENT_OF, *WITHOUT_INPUT)),
    "cell_source": _word(get_args(Source)),
    "origin": _word(get_args(Origin)),
    "product": _word(get_args(Product)),
    "dose_million_cells": _number(0, LARGEST_DOSE_MILLION, above=True),
    "n_injections": _number(0, 24, whole=True),
    "injection_times_months": _months,
    "blinding": _word(get_args(vocabulary.Blinding)),
    "n": _number(1, 1e6, whole=True),
    "age_mean": _number(0, 120, above=True),
    "female_pct": _number(0, 100),
    "bmi_mean": _number(10, 80),
    "severity_distribution": str,
    "baseline_pain_mean": _number(0, 100),
    "baseline_pain_sd": _number(0, 100, above=True),
    "time_months": _number(0, LONGEST_MONTHS, above=True),
}
"""Columns of a file to predict, and how their cells are read."""

FIT_COLUMNS: Mapping[str, _Convert] = {
    "risk_of_bias": _word(get_args(vocabulary.RiskOfBias)),
    "design": _word(get_args(vocabulary.Design)),
    "instrument": _instrument,
    "follow_up_mean": _number(0, 100),
    "change_mean": _number(-100, 100),
    "sd": _number(0, 100, above=True),
    "se": _number(0, 100, above=True),
}
"""Columns that a file to fit to has beside them; ``sd`` and ``se`` belong to the follow-up, or else to the change."""

_NEEDED = ("trial_id", "arm_id", "indication", "intervention", "time_months")
_OF_VISIT = ("time_months", "n", "instrument", "follow_up_mean", "change_mean", "sd", "se")
_OF_TRIAL = ("indication", "blinding", "risk_of_bias", "design")
_OF_CELLS = ("cell_source", "origin", "product", "dose_million_cells")
_COLUMN_OF = {
    "source": "cell_source",
    "dose_million": "dose_million_cells",
    "months": "injection_times_months",
}

_Rows = list[tuple[int, dict[str, Any]]]


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
    name, rows = str(path), _read(Path(path), COLUMNS)
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
    name, rows = str(path), _read(Path(path), {**COLUMNS, **FIT_COLUMNS})
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


def _read(path: Path, columns: Mapping[str, _Convert]) -> _Rows:
    """Return the rows by their number with every column converted, ``None`` where empty or absent."""
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        header, *lines = csv.reader(StringIO(text, newline=""), strict=True)
    except FileNotFoundError:
        raise InputError(Problem("does not exist", file=name, hint="check the path")) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not UTF-8 text", file=name, hint="save it as CSV, UTF-8")) from None
    except ValueError:
        raise InputError(Problem("is empty", file=name, allowed=", ".join(columns))) from None
    except (OSError, csv.Error) as error:
        raise InputError(Problem(f"cannot be read: {error}", file=name)) from None
    header = [column.strip() for column in header]
    if problems := _of_header(name, header, columns):
        raise InputError(*problems)
    rows: _Rows = []
    for number, line in enumerate(lines, 1):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            what = f"has {len(line)} cells"
            problems.append(Problem(what, file=name, row=number, allowed=f"{len(header)} cells"))
            continue
        cells = dict(zip(header, map(str.strip, line), strict=True))
        row: dict[str, Any] = dict.fromkeys(columns)
        faults = len(problems)
        for column, convert in columns.items():
            cell = cells.get(column, "")
            try:
                if cell:
                    row[column] = convert(cell)
                elif column in _NEEDED:
                    raise _Refused("is empty", "a value in every row")
            except _Refused as fault:
                problems.append(
                    Problem(
                        fault.what,
                        file=name,
                        row=number,
                        column=column,
                        value=cell or None,
                        allowed=fault.allowed,
                        hint=fault.hint,
                    )
                )
        if len(problems) == faults:
            rows.append((number, row))
    if problems:
        raise InputError(*problems)
    if not rows:
        raise InputError(Problem("holds no rows", file=name, hint="one header row, then one row a visit"))
    return rows


def _of_header(name: str, header: list[str], columns: Mapping[str, _Convert]) -> list[Problem]:
    problems = [
        Problem("is missing from the header", file=name, column=column)
        for column in _NEEDED
        if column not in header
    ]
    absent = [column for column in columns if column not in header]
    for column in dict.fromkeys(header):
        if header.count(column) > 1:
            problems.append(Problem("stands twice in the header", file=name, column=column))
        near = get_close_matches(column, absent, n=1, cutoff=0.75) if column not in columns else []
        if near:
            hint = f"did you mean {near[0]}? Otherwise rename it"
            problems.append(Problem("is not a known column", file=name, column=column, hint=hint))
    if problems and len(header) == 1:
        hint = "separate columns by commas, not semicolons or tabs"
        return [Problem("has one column", file=name, value=header[0], hint=hint)]
    return problems


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["trial_id"], row["arm_id"]


def _arms(name: str, rows: _Rows, of_visit: tuple[str, ...]) -> dict[tuple[str, str], TrialArm]:
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


def _with_readings(arm: TrialArm, rows: _Rows) -> TrialArm:
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
