"""Simulated patients as analysis data sets in the manner of CDISC ADaM: subjects, outcomes, adverse events.

``ADSL`` has one row a subject, ``ADQS`` one row a subject, parameter and visit at which it was seen (the basic data
structure), ``ADAE`` one row an adverse event. They follow the names and the layout of ADaM so that programs written for
trials can read them; they are simulated, have no calendar dates, and are not conformant submissions. Days are study
days: day 1 is the day of the first treatment.
"""

from typing import TYPE_CHECKING

import numpy as np

from stemtrial import scales
from stemtrial.trial import adverse
from stemtrial.trial.adamvariables import ADAE, ADQS, ADSL, PARAMETERS
from stemtrial.trial.conduct import INSTRUMENTS
from stemtrial.trial.subjects import Subjects, study_day, worded

if TYPE_CHECKING:
    import pyarrow as pa

DERIVED = (None, "COMPOSITE", "LOCF")
"""Derivation types of ``ADQS`` by code."""


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

    The records with ``ANL02FL`` are those of the main analysis with all patients: analysed by it, they give the
    estimate of the virtual trial at its end.
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
        own = np.flatnonzero(subjects.rows["arm"] == index)
        places = 1 + int(subjects.rows["patient"][own].max(initial=0))
        happened = adverse.events(risks, subjects.seed, replicates, index * ARM_STRIDE, places)
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
