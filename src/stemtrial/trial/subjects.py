"""Patients of a run as columns: what every export of them begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.trial.conduct import EVENTS
from stemtrial.trial.protocol import Trial

if TYPE_CHECKING:
    import pyarrow as pa


def study_day(month: np.ndarray | float) -> np.ndarray:
    """Return the study day of a month after the first treatment, 1 for month 0.

    Examples
    --------
    >>> study_day(np.array([0.0, 12.0])).tolist()
    [1, 366]
    """
    return np.asarray(np.rint(np.asarray(month) * DAYS_PER_MONTH) + 1).astype(np.int32)


@dataclass(frozen=True)
class Subjects:
    """Rows of ``patients.parquet`` of some virtual trials, sorted by trial, arm and patient, as columns.

    Attributes
    ----------
    trial, seed
        Of the run.
    rows
        Arrays by column name; what is null there is NaN here.
    """

    trial: Trial
    seed: int
    rows: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, trial: Trial, seed: int, table: "pa.Table") -> "Subjects":
        """Sort the rows of a table and take them apart."""
        codes = {arm: i for i, arm in enumerate(trial.ordered_arms)}
        rows: dict[str, np.ndarray] = {}
        for name in table.column_names:
            column = table[name].combine_chunks()
            if name == "arm":
                rows["arm"] = np.array([codes[a] for a in column.to_pylist()], np.int32)
            else:
                rows[name] = column.to_numpy(zero_copy_only=False)
        order = np.lexsort((rows["patient"], rows["arm"], rows["replicate"]))
        return cls(trial, seed, {name: values[order] for name, values in rows.items()})

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows["patient"])

    @cached_property
    def subject(self) -> "pa.Array":
        """Identifier of each subject within the study, (subjects,)."""
        import pyarrow as pa

        of = zip(*(self.rows[k].tolist() for k in ("replicate", "arm", "patient")), strict=True)
        return pa.array([f"{r:06d}-A{a + 1}-{p + 1:05d}" for r, a, p in of], pa.string())

    def identity(self, who: np.ndarray) -> "dict[str, pa.Array | np.ndarray]":
        """Return the columns that every data set has, for records of the subjects `who`, (records,) each."""
        import pyarrow.compute as pc

        study = f"STEMTRIAL-{self.trial.hash[:8]}"
        same = np.zeros(len(who), int)
        return {
            "STUDYID": worded(same, (study,)),
            "USUBJID": pc.binary_join_element_wise(study, self.subject.take(who), "-"),
            "REPL": self.rows["replicate"][who],
            "SIMFL": worded(same, ("Y",)),
            "TRTP": self.arm(who),
            "TRTPN": self.rows["arm"][who] + 1,
        }

    def arm(self, who: np.ndarray) -> "pa.Array":
        """Return the names of the arms of the subjects `who`."""
        return worded(self.rows["arm"][who], self.trial.ordered_arms)

    def reading(self, instrument: str, month: float) -> np.ndarray:
        """Return an instrument's readings at a month, 0 the baseline; NaN where a patient was not seen, (subjects,)."""
        if instrument == "NRS":
            return np.round(self.reading("VAS", month), -1)
        return np.asarray(self.rows[f"{instrument}_{month:g}"], float)

    def month_of(self, what: str) -> np.ndarray:
        """Return the month of a column such as ``left_by_month``, that of the visit; NaN for none."""
        return np.asarray(self.rows.get(f"{what}_month", np.full(self.n, np.nan)))

    def disturbed(self, month: float) -> np.ndarray:
        """Whether rescue medicine or another intercurrent event had begun before the visit of a month, (subjects,)."""
        happened = [self.month_of(kind) <= month for kind in EVENTS]
        return np.asarray(np.logical_or.reduce([self.month_of("rescue") < month, *happened]))


def worded(codes: np.ndarray, words: Sequence[str | None]) -> "pa.Array":
    """Return the word of each code, (codes,)."""
    import pyarrow as pa

    return pa.array(words, pa.string()).take(pa.array(codes.astype(np.int32)))
