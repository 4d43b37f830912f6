"""The columns of a user's file of arms, and how its cells are read.

Only identity, indication, intervention and month must be filled. Vocabulary is that of the evidence tables; pain is on
0-100, lower better. Other columns are not read, unless their name is close to one that is absent, which is an error.
"""

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from stemtrial.calibration.given import POOLED, TREATMENT_OF, WITHOUT_INPUT
from stemtrial.errors import InputError, Problem
from stemtrial.evidence import vocabulary
from stemtrial.mechanism.treatments import LARGEST_DOSE_MILLION, LONGEST_MONTHS, Origin, Product, Source
from stemtrial.scales import instrument

Rows = list[tuple[int, dict[str, Any]]]
"""Rows by their number (1 = first data row), each with its columns."""

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

NEEDED = ("trial_id", "arm_id", "indication", "intervention", "time_months")
"""Columns that every row fills."""


def read_rows(path: Path, columns: Mapping[str, _Convert]) -> Rows:
    """Return the rows of a CSV file with their numbers, every column converted, ``None`` where empty or absent.

    Raises
    ------
    InputError
        With every fault of the file: row, column, value and what is allowed.
    """
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
    rows: Rows = []
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
                elif column in NEEDED:
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
        for column in NEEDED
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
