"""Simulated patients as the records that NONMEM and its kin read: one row an observation or a dose.

Records follow each other by individual and time; at equal times observations come first, so that the baseline is seen
before the first dose. Times are days after the first treatment. An injection is a bolus (``AMT``), of million cells for
cells and of 1 for everything else; a course, such as exercise or rescue medicine, is an infusion at the rate 1 a day,
so that its ``AMT`` is its length in days. What happens after a patient has left is not recorded.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.mechanism.treatments import TREATMENTS, Cells, Course, Injection
from stemtrial.trial.conduct import INSTRUMENTS
from stemtrial.trial.datasets import Dataset, Variable
from stemtrial.trial.subjects import Subjects

if TYPE_CHECKING:
    import pyarrow as pa

DOSED = tuple(name for name, kind in TREATMENTS.items() if issubclass(kind, Injection | Course))
COMPARTMENTS = {name: number for number, name in enumerate((*DOSED, *INSTRUMENTS), 1)}
"""Number of the compartment of each treatment and instrument."""

_LIST = ", ".join(f"{number} {name}" for name, number in COMPARTMENTS.items())

NONMEM = Dataset(
    "NONMEM",
    "Observation and dose records (simulated)",
    (
        Variable("ID", "Individual", "integer", "counts over all virtual trials, from 1"),
        Variable("REP", "Virtual Trial (Replicate)", "integer", "number of the virtual trial, from 0"),
        Variable("TIME", "Days after the First Treatment", "number", "month times 30.4375"),
        Variable(
            "AMT",
            "Amount",
            "number",
            "million cells, 1 for other injections, days of a course; 0 if observed",
        ),
        Variable("RATE", "Rate of a Course", "number", "1 a day for a course, otherwise 0"),
        Variable("DV", "Reading (0-100, Higher is Worse)", "number", "missing for doses"),
        Variable("EVID", "Event: 0 Observation, 1 Dose", "integer"),
        Variable("MDV", "Missing Dependent Variable", "integer", "1 for doses"),
        Variable("CMT", "Compartment", "integer", _LIST),
        Variable("ARM", "Arm", "integer", "1 the comparator, 2 the experimental arm, then the others"),
        Variable("AGE", "Age (Years)", "number"),
        Variable("BMI", "Body-Mass Index (kg/m2)", "number"),
        Variable("FEM", "Woman", "integer", "1 for women"),
        Variable("GRADE", "Radiographic Grade", "integer", "Kellgren-Lawrence or Pfirrmann, by indication"),
        Variable("PAIN0", "Pain at Screening (0-100)", "number"),
    ),
)
"""Every column is a number; in the file, a missing one is a full stop."""


def records(subjects: Subjects, before: int = 0) -> "pa.Table":
    """Return the records of some subjects.

    Parameters
    ----------
    subjects
        Sorted by virtual trial, arm and patient.
    before
        Individuals in earlier tables; identifiers go on from there.
    """
    rows = subjects.rows
    names = ("who", "TIME", "AMT", "RATE", "DV", "EVID", "CMT")
    blocks = [block for block in (*_observations(subjects), *_doses(subjects)) if len(block[0])]
    columns = {name: np.concatenate([block[i] for block in blocks]) for i, name in enumerate(names)}
    order = np.lexsort((columns["CMT"], columns["EVID"], columns["TIME"], columns["who"]))
    columns = {name: values[order] for name, values in columns.items()}
    who = columns.pop("who").astype(int)
    return NONMEM.table(
        {
            **columns,
            "ID": who + before + 1,
            "REP": rows["replicate"][who],
            "DV": _missing(columns["DV"]),
            "EVID": columns["EVID"].astype(int),
            "MDV": columns["EVID"].astype(int),
            "CMT": columns["CMT"].astype(int),
            "ARM": rows["arm"][who] + 1,
            "AGE": rows["age"][who],
            "BMI": rows["bmi"][who],
            "FEM": rows["female"][who].astype(int),
            "GRADE": rows["grade"][who],
            "PAIN0": rows["VAS_0"][who],
        }
    )


Block = tuple[np.ndarray, ...]


def _block(who: np.ndarray, day: float | np.ndarray, amount: float | np.ndarray, rate: float, value: float | np.ndarray,
           event: int, compartment: int) -> Block:  # fmt: skip
    parts = (day, amount, rate, value, event, compartment)
    return (who, *(np.broadcast_to(np.asarray(part, float), who.shape) for part in parts))


def _observations(subjects: Subjects) -> Iterator[Block]:
    for name in INSTRUMENTS:
        for month in (0.0, *subjects.trial.visits_months):
            values = subjects.reading(name, month)
            seen = np.flatnonzero(~np.isnan(values))
            yield _block(seen, month * DAYS_PER_MONTH, 0, 0, values[seen], 0, COMPARTMENTS[name])


def _doses(subjects: Subjects) -> Iterator[Block]:
    trial, rows = subjects.trial, subjects.rows
    left = np.nan_to_num(subjects.month_of("left_by"), nan=np.inf)
    end = np.minimum(left, trial.horizon_months)
    for index, arm in enumerate(trial.ordered_arms):
        own = np.flatnonzero(rows["arm"] == index)
        for treatment in trial.arms[arm].treatments:
            if isinstance(treatment, Injection):
                amount = treatment.dose_million if isinstance(treatment, Cells) else 1.0
                for month in treatment.at_months:
                    yield _dose(own[left[own] > month], treatment.name, month, amount, 0)
            elif isinstance(treatment, Course):
                until = np.minimum(end, np.inf if treatment.to_month is None else treatment.to_month)
                on = own[until[own] > treatment.from_month]
                days = (until[on] - treatment.from_month) * DAYS_PER_MONTH
                yield _dose(on, treatment.name, treatment.from_month, days, 1)
    rescue = trial.conduct.rescue_analgesia
    if rescue is not None:
        start = subjects.month_of("rescue")
        for month in trial.visits_months:
            on = np.flatnonzero((start == month) & (end > month))
            yield _dose(on, rescue.drug, month, (end[on] - month) * DAYS_PER_MONTH, 1)


def _dose(who: np.ndarray, name: str, month: float, amount: float | np.ndarray, rate: float) -> Block:
    return _block(who, month * DAYS_PER_MONTH, amount, rate, np.nan, 1, COMPARTMENTS[name])


def _missing(values: np.ndarray) -> "pa.Array":
    import pyarrow as pa

    return pa.array(values, mask=np.isnan(values))


def text(table: "pa.Table") -> "pa.Table":
    """Return the records as texts, a full stop where a number is missing, as they stand in the file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [pc.fill_null(pc.cast(table[name], pa.string()), ".") for name in table.column_names]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))
