"""Simulated patients as analysis data sets in the manner of CDISC ADaM: subjects, outcomes, adverse events.

``ADSL`` has one row a subject, ``ADQS`` one row a subject, parameter and visit at which it was seen (the basic data
structure), ``ADAE`` one row an adverse event. They follow the names and the layout of ADaM so that programs written for
trials can read them; they are simulated, have no calendar dates, and are not conformant submissions. Days are study
days: day 1 is the day of the first treatment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stemtrial import scales
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.trial import adverse
from stemtrial.trial.conduct import EVENTS, INSTRUMENTS
from stemtrial.trial.datasets import Dataset, Variable
from stemtrial.trial.protocol import Trial

if TYPE_CHECKING:
    import pyarrow as pa

PARAMETERS: Mapping[str, tuple[str, str]] = {
    "VAS": ("VAS", "Pain on a Visual Analogue Scale (0-100)"),
    "NRS": ("NRS", "Pain on a Numeric Rating Scale, as 0-100"),
    "WOMAC_pain": ("WOMACP", "WOMAC Pain (0-100)"),
    "WOMAC_function": ("WOMACF", "WOMAC Function (0-100)"),
}
"""Code and name of each instrument in ``ADQS``."""

_IDENTITY = (
    Variable("STUDYID", "Study Identifier", "text", "STEMTRIAL- and the first 8 digits of the trial's hash"),
    Variable("USUBJID", "Unique Subject Identifier", "text", "study, virtual trial, arm and number"),
)
_REPLICATE = Variable("REPL", "Virtual Trial (Replicate)", "integer", "number of the virtual trial, from 0")
_PLANNED = (
    Variable("TRTP", "Planned Treatment", "text", "arm of the trial file"),
    Variable("TRTPN", "Planned Treatment (N)", "integer", "1 the comparator, 2 the experimental arm"),
)
_SIMULATED = Variable("SIMFL", "Simulated Data Flag", "text", "always Y")

ADSL = Dataset(
    "ADSL",
    "Subject-Level Analysis (simulated)",
    (
        *_IDENTITY,
        Variable("SUBJID", "Subject Identifier for the Study", "text", "without the study"),
        _REPLICATE,
        Variable("ARM", "Description of Planned Arm", "text", "arm of the trial file"),
        Variable("ARMCD", "Planned Arm Code", "text", "A and the number of the arm"),
        Variable("TRT01P", "Planned Treatment for Period 01", "text", "arm of the trial file"),
        Variable(
            "TRT01PN", "Planned Treatment for Period 01 (N)", "integer", "1 the comparator, 2 the experimental arm"
        ),
        Variable("TRT01A", "Actual Treatment for Period 01", "text", "as planned"),
        Variable("TRT01AN", "Actual Treatment for Period 01 (N)", "integer", "as planned"),
        Variable("AGE", "Age", "number", "years"),
        Variable("AGEU", "Age Units", "text", "always YEARS"),
        Variable("SEX", "Sex", "text", "F or M"),
        Variable("BMIBL", "Baseline BMI (kg/m2)", "number"),
        Variable("GRADEBL", "Baseline Radiographic Grade", "integer", "Kellgren-Lawrence or Pfirrmann, by indication"),
        Variable("PAINBL", "Baseline Pain VAS (0-100)", "number", "reading at screening, higher is worse"),
        Variable("RANDFL", "Randomized Population Flag", "text", "always Y"),
        Variable("ITTFL", "Intent-To-Treat Population Flag", "text", "always Y"),
        Variable("SAFFL", "Safety Population Flag", "text", "always Y"),
        Variable("EOSSTT", "End of Study Status", "text", "COMPLETED or DISCONTINUED"),
        Variable("EOSDY", "Day of Last, or First Missed, Visit", "integer", "first missed visit of those who left"),
        Variable("RESCFL", "Rescue Medication Flag", "text", "Y from the visit at which it was begun"),
        Variable("RESCDY", "Rescue Medication Start Day", "integer", "day of the visit at which it was begun"),
        Variable("PINJFL", "Prohibited Injection Flag", "text", "Y or N, among those still seen"),
        Variable("PINJDY", "Prohibited Injection Day", "integer", "first visit by which it had happened"),
        Variable("SURGFL", "Surgery Flag", "text", "Y or N, among those still seen"),
        Variable("SURGDY", "Surgery Day", "integer", "first visit by which it had happened"),
        Variable("HARMFL", "Harms of All Treatments Published", "text",
                 "N where no published arm counts events of a treatment: its absence from ADAE means nothing"),
        _SIMULATED,
    ),
)  # fmt: skip

ADQS = Dataset(
    "ADQS",
    "Questionnaires Analysis (simulated)",
    (
        *_IDENTITY,
        _REPLICATE,
        *_PLANNED,
        Variable("PARAM", "Parameter", "text", "instrument, 0-100, higher is worse"),
        Variable("PARAMCD", "Parameter Code", "text"),
        Variable("PARAMN", "Parameter (N)", "integer"),
        Variable("AVISIT", "Analysis Visit", "text"),
        Variable("AVISITN", "Analysis Visit (Month)", "number"),
        Variable("ADY", "Analysis Relative Day", "integer", "month times 30.4375, plus 1"),
        Variable("AVAL", "Analysis Value", "number"),
        Variable("BASE", "Baseline Value", "number"),
        Variable("CHG", "Change from Baseline", "number", "AVAL - BASE, negative is better; empty at baseline"),
        Variable("PCHG", "Percent Change from Baseline", "number", "100 CHG / BASE; empty where BASE is 0"),
        Variable("ABLFL", "Baseline Record Flag", "text", "Y at baseline"),
        Variable(
            "DTYPE",
            "Derivation Type",
            "text",
            "after rescue or another intercurrent event. COMPOSITE: not improved, the worse of the reading and the "
            "baseline. LOCF: the last reading before the event",
        ),
        Variable("CRIT1FL", "Improved by the MCID", "text",
                 "Y or N; empty at baseline and where no important difference is on record"),
        Variable("CRIT2FL", "Improved by 30 Percent", "text", "Y or N; empty at baseline"),
        Variable("CRIT3FL", "Improved by 50 Percent", "text", "Y or N; empty at baseline"),
        Variable("ANL01FL", "Record of the Estimand at its Visit", "text", "Y after baseline"),
        Variable("ANL02FL", "Record of the Primary Analysis", "text",
                 "Y: main comparison, instrument and visit (all visits for a mixed model), with all patients"),
        _SIMULATED,
    ),
)  # fmt: skip

ADAE = Dataset(
    "ADAE",
    "Adverse Events Analysis (simulated)",
    (
        *_IDENTITY,
        _REPLICATE,
        *_PLANNED,
        Variable("AESEQ", "Sequence Number", "integer", "within the subject"),
        Variable("AETERM", "Reported Term for the Adverse Event", "text", "category of the evidence"),
        Variable("AEDECOD", "Dictionary-Derived Term", "text", "category of the evidence, in capitals"),
        Variable("AESER", "Serious Event", "text", "Y where the category counts serious events; otherwise unknown"),
        Variable("AETRT", "Treatment to which the Risk Belongs", "text"),
        Variable("TRTEMFL", "Treatment Emergent Analysis Flag", "text", "always Y"),
        Variable("ASTDY", "Analysis Start Relative Day", "integer", "empty: published counts have no days"),
        Variable("AESRC", "Source of the Simulated Risk", "text", "published counts behind the risk"),
        _SIMULATED,
    ),
)  # fmt: skip


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
        """Return the month of a column such as ``left_by_month``, exactly that of the visit; NaN for none."""
        if f"{what}_month" not in self.rows:
            return np.full(self.n, np.nan)
        visits = np.array(self.trial.visits_months)
        stored = self.rows[f"{what}_month"]
        nearest = np.abs(visits.astype(np.float32) - np.nan_to_num(stored)[:, None]).argmin(axis=1)
        return np.where(np.isnan(stored), np.nan, visits[nearest])

    def disturbed(self, month: float) -> np.ndarray:
        """Whether rescue medicine or another intercurrent event had begun before the visit of a month, (subjects,)."""
        happened = [self.month_of(kind) <= month for kind in EVENTS]
        return np.asarray(np.logical_or.reduce([self.month_of("rescue") < month, *happened]))


def worded(codes: np.ndarray, words: Sequence[str | None]) -> "pa.Array":
    """Return the word of each code, (codes,)."""
    import pyarrow as pa

    return pa.array(words, pa.string()).take(pa.array(codes.astype(np.int32)))


def subject_level(subjects: Subjects) -> "pa.Table":
    """Return ``ADSL``."""
    trial, rows = subjects.trial, subjects.rows
    left, rescue = subjects.month_of("left_by"), subjects.month_of("rescue")
    everybody = np.arange(subjects.n)
    same, code = np.zeros(subjects.n, int), rows["arm"] + 1
    unknown = np.array([bool(adverse.without_counts(trial, arm)) for arm in trial.ordered_arms])
    arms, always = subjects.arm(everybody), worded(same, ("Y",))
    return ADSL.table(
        {
            **subjects.identity(everybody),
            "SUBJID": subjects.subject,
            "ARM": arms,
            "ARMCD": worded(rows["arm"], [f"A{i}" for i in range(1, len(trial.arms) + 1)]),
            "TRT01P": arms,
            "TRT01PN": code,
            "TRT01A": arms,
            "TRT01AN": code,
            "AGE": rows["age"].astype(float),
            "AGEU": worded(same, ("YEARS",)),
            "SEX": worded(rows["female"], ("M", "F")),
            "BMIBL": rows["bmi"].astype(float),
            "GRADEBL": rows["grade"],
            "PAINBL": rows["VAS_0"].astype(float),
            **dict.fromkeys(("RANDFL", "ITTFL", "SAFFL"), always),
            "EOSSTT": worded(np.isnan(left), ("DISCONTINUED", "COMPLETED")),
            "EOSDY": study_day(np.where(np.isnan(left), trial.horizon_months, left)),
            **_begun("RESC", rescue),
            **{
                name: column
                for prefix, kind in (("PINJ", "prohibited_injection"), ("SURG", "surgery"))
                for name, column in _begun(prefix, _while_seen(subjects.month_of(kind), left)).items()
            },
            "HARMFL": worded(unknown[rows["arm"]], ("Y", "N")),
        }
    )


def questionnaires(subjects: Subjects) -> "pa.Table":
    """Return ``ADQS``, sorted by subject, parameter and visit.

    Where the estimand counts something else than the reading, a derived record stands beside it (``DTYPE``).

    The records with ``ANL02FL`` are those of the main analysis: analysed by it, they give the estimate of the virtual
    trial, to the single precision in which readings are stored.
    """
    trial, question = subjects.trial, subjects.trial.question
    instruments = [*INSTRUMENTS, *(["NRS"] if question.endpoint.instrument == "NRS" else [])]
    months = (0.0, *trial.visits_months)
    blocks: list[dict[str, np.ndarray]] = []
    for number, instrument in enumerate(instruments):
        base = subjects.reading(instrument, 0)
        for visit, month in enumerate(months):
            seen = subjects.reading(instrument, month)
            kind, counts, derived = _derivation(subjects, instrument, visit)
            place = {"number": np.full(subjects.n, number), "visit": np.full(subjects.n, visit)}
            blocks.append(_block(subjects, instrument, month, seen, base, ~derived) | place)
            if derived.any():
                value = np.where(derived, counts, np.nan)
                as_derived = {"derived": np.full(subjects.n, kind)}
                blocks.append(_block(subjects, instrument, month, value, base, derived) | place | as_derived)
    rows = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    here = np.flatnonzero(~np.isnan(rows["AVAL"]))
    order = here[np.lexsort([rows[key][here] for key in ("derived", "visit", "number", "who")])]
    rows = {name: values[order] for name, values in rows.items()}
    codes, names = zip(*(PARAMETERS[i] for i in instruments), strict=True)
    return ADQS.table(
        {
            **subjects.identity(rows["who"]),
            "PARAM": worded(rows["number"], names),
            "PARAMCD": worded(rows["number"], codes),
            "PARAMN": rows["number"] + 1,
            "AVISIT": worded(rows["visit"], ["Baseline", *(f"Month {m:g}" for m in months[1:])]),
            "AVISITN": np.array(months)[rows["visit"]],
            "ADY": study_day(np.array(months))[rows["visit"]],
            "PCHG": np.divide(
                100 * rows["CHG"], rows["BASE"], out=np.full(len(order), np.nan), where=rows["BASE"] != 0
            ),
            "ABLFL": worded(rows["visit"] == 0, (None, "Y")),
            "DTYPE": worded(rows["derived"], DERIVED),
            **{name: worded(rows[name], (None, "N", "Y")) for name in ("CRIT1FL", "CRIT2FL", "CRIT3FL")},
            **{name: worded(rows[name], (None, "Y")) for name in ("ANL01FL", "ANL02FL")},
            **{name: rows[name] for name in ("AVAL", "BASE", "CHG")},
        }
    )


DERIVED = (None, "COMPOSITE", "LOCF")


def _derivation(subjects: Subjects, instrument: str, visit: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return what the estimand counts in place of the reading at a visit (0 the baseline), and for whom.

    Returns
    -------
    tuple
        Index into ``DERIVED``, the values and whether they are derived, (subjects,) each.
    """
    months = (0.0, *subjects.trial.visits_months)
    seen, base = subjects.reading(instrument, months[visit]), subjects.reading(instrument, 0)
    disturbed = subjects.disturbed(months[visit]) & (visit > 0)
    match subjects.trial.question.estimand:
        case "composite":
            return 1, np.maximum(seen, base), disturbed
        case "while_on_treatment":
            course = np.stack([subjects.reading(instrument, month) for month in months[: visit + 1]])
            last = np.sum([~subjects.disturbed(month) for month in months[1 : visit + 1]], axis=0, dtype=int)
            return 2, np.take_along_axis(course, np.broadcast_to(last, (1, subjects.n)), axis=0)[0], disturbed
        case _:
            return 0, seen, np.zeros(subjects.n, bool)


def _block(
    subjects: Subjects, instrument: str, month: float, value: np.ndarray, base: np.ndarray, used: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the records of all subjects for one parameter and visit; subjects not seen have a NaN value."""
    trial, question = subjects.trial, subjects.trial.question
    n, after = subjects.n, month > 0
    main = instrument == question.endpoint.instrument and (
        question.analysis == "mmrm" or month == question.endpoint.month
    )
    compared = np.isin(subjects.rows["arm"], [trial.ordered_arms.index(arm) for arm in question.compare])
    change = value - base if after else np.full(n, np.nan)
    mcid = scales.mcid(instrument, trial.indication)
    limits = (None if mcid is None else mcid.value, 0.3 * base, 0.5 * base)
    nothing = np.zeros(n, np.int8)
    return {
        "who": np.arange(n),
        "AVAL": value,
        "BASE": base,
        "CHG": change,
        "derived": nothing,
        **{
            f"CRIT{i}FL": 1 + (-change >= limit) if after and limit is not None else nothing
            for i, limit in enumerate(limits, 1)
        },
        "ANL01FL": used & after,
        "ANL02FL": used & after & main & compared,
    }


def adverse_events(subjects: Subjects) -> "pa.Table":
    """Return ``ADAE``: events drawn from published risks (:mod:`stemtrial.trial.adverse`)."""
    from stemtrial.trial.replicates import ARM_STRIDE

    trial = subjects.trial
    replicates, group = np.unique(subjects.rows["replicate"], return_inverse=True)
    found: list[tuple[np.ndarray, adverse.Risk]] = []
    for index, arm in enumerate(trial.ordered_arms):
        risks = adverse.published_risks(trial, arm)
        happened = adverse.events(risks, subjects.seed, replicates, index * ARM_STRIDE, trial.arms[arm].n)
        own = np.flatnonzero(subjects.rows["arm"] == index)
        for risk, yes in zip(risks, happened, strict=True):
            found.append((own[yes[group[own], subjects.rows["patient"][own]]], risk))
    who = np.concatenate([np.zeros(0, int), *(rows for rows, _ in found)])
    which = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
    order = np.lexsort((which, who))
    who, which = who[order], which[order]
    risks = tuple(risk for _, risk in found)
    terms = [adverse.TERMS[risk.category] for risk in risks]
    return ADAE.table(
        {
            **subjects.identity(who),
            "AESEQ": np.arange(len(who)) - np.searchsorted(who, who) + 1,
            "AETERM": worded(which, terms),
            "AEDECOD": worded(which, [term.upper() for term in terms]),
            "AESER": worded(which, ["Y" if r.category in adverse.SERIOUS else None for r in risks]),
            "AETRT": worded(which, [risk.treatment for risk in risks]),
            "TRTEMFL": worded(np.zeros(len(who), int), ("Y",)),
            "ASTDY": _integers(np.zeros(len(who)), np.ones(len(who), bool)),
            "AESRC": worded(which, [risk.source for risk in risks]),
        }
    )


def _while_seen(month: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return months of events, NaN where the patient had left by then."""
    return np.where(month < np.nan_to_num(left, nan=np.inf), month, np.nan)


def _begun(prefix: str, month: np.ndarray) -> "dict[str, pa.Array]":
    """Return flag and day of something that began at a visit; NaN is never."""
    never = np.isnan(month)
    return {
        f"{prefix}FL": worded(~never, ("N", "Y")),
        f"{prefix}DY": _integers(study_day(np.nan_to_num(month)), never),
    }


def _integers(values: np.ndarray, missing: np.ndarray) -> "pa.Array":
    import pyarrow as pa

    return pa.array(values.astype(np.int32), mask=missing)
