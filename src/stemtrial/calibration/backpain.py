"""Control arms of back-pain trials that the evidence tables keep as courses and pooled shares, not as arms.

They say how large the response to being treated is in these patients, which the few disc trials cannot. Their numbers
are read from the tables; what stands here is who they were and how the trial was run.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stemtrial.calibration.arms import Blinding, LeftOut, Reading, TrialArm
from stemtrial.calibration.comparators import Z95
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.schema import NaturalHistory
from stemtrial.evidence.tables import Evidence
from stemtrial.mechanism.schedule import Event, Kind, Schedule, schedule
from stemtrial.mechanism.treatments import Saline, Sham, UsualCare

NEEDLE = schedule([Sham(at_months=(0.0,))])
SALINE = schedule([Saline(at_months=(0.0,))])
ORAL = Schedule((Event(Kind.CONTEXT_ORAL, 0.0, math.inf),))
NOTHING_NEW = schedule([UsualCare()])


@dataclass(frozen=True, slots=True)
class Series:
    """A control arm: where its numbers are, and what the tables say of it in words.

    Attributes
    ----------
    reference_id, quantity
        Rows of ``natural_history``, or of ``effects`` where ``quantity`` is an effect metric.
    arm_id, intervention, schedule
        As of :class:`~stemtrial.calibration.arms.TrialArm`.
    blinding
        Judged from the design: whether the patients of this arm knew what they were given.
    age, baseline, baseline_sd
        Means and SD as the tables print them in words.
    """

    reference_id: str
    quantity: str
    arm_id: str
    intervention: str
    schedule: Schedule
    blinding: Blinding
    age: float | None = None
    baseline: float | None = None
    baseline_sd: float | None = None


SERIES: tuple[Series, ...] = (
    Series("haake_2007", "mean pain, sham acupuncture arm", "sham", "sham_procedure", NEEDLE, "single", 50.0),
    Series("haake_2007", "mean pain, guideline care arm", "guideline", "usual_care", NOTHING_NEW, "open", 50.0),
    Series("brinkhaus_2006", "pain change, minimal acupuncture", "sham", "sham_procedure", NEEDLE, "single",
           59.0, 64.8, 14.0),
    Series("brinkhaus_2006", "pain change, waiting list", "waiting", "usual_care", NOTHING_NEW, "open",
           59.0, 64.8, 14.0),
    Series("konno_2016", "pain change, oral placebo", "placebo", "placebo", ORAL, "double", 58.9),
    Series("duloxetine_pool_2017", "responder_proportion_50pct", "placebo", "placebo", ORAL, "double"),
    Series("kallewaard_2019", "share with at least 30 percent less pain, intradiscal saline and lidocaine", "saline",
           "saline", SALINE, "double"),
)  # fmt: skip
"""The control arms used."""

NOT_USED: tuple[tuple[str, str, str], ...] = (
    ("wallwork_2024", "cohorts", "untreated cohorts, not arms of a trial; read in a news report"),
    ("artus_2014", "cohorts", "a change in SDs, without the SD"),
    ("peng_2012", "cohort", "pain unchanged or relieved at 4 years names no threshold, beyond 24 months"),
    ("costa_2009", "cohort", "recent onset"),
    ("fischgrund_2018", "sham", "disability only"),
    ("prp_disc_2024", "saline", "less average pain names no threshold"),
)
"""Other rows on back pain, as reference, arm and why they are not used."""

_SHARES = {"responder_proportion_30pct": 0.3, "responder_proportion_50pct": 0.5}


def back_pain_controls(evidence: Evidence) -> tuple[tuple[TrialArm, ...], tuple[LeftOut, ...]]:
    """Return the control arms of back-pain trials, and the rows that are not used.

    Raises
    ------
    InputError
        If the tables do not hold a series.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> arms, _ = back_pain_controls(load())
    >>> [(a.trial_id, a.arm_id, len(a.readings)) for a in arms][:2]
    [('haake_2007', 'sham', 3), ('haake_2007', 'guideline', 1)]
    """
    arms = tuple(_arm(evidence, series) for series in SERIES)
    return arms, tuple(LeftOut(*row[:2], 1, row[2]) for row in NOT_USED)


def _arm(evidence: Evidence, series: Series) -> TrialArm:
    rows = [
        row
        for row in evidence.natural_history
        if (row.reference_id, row.quantity) == (series.reference_id, series.quantity)
    ]
    baseline, baseline_sd = series.baseline, series.baseline_sd
    for row in rows:
        if row.time_months == 0:
            baseline, baseline_sd = row.value, row.sd
    readings = tuple(_reading(row) for row in rows if row.time_months) or tuple(_pooled(evidence, series))
    if not readings:
        raise InputError(Problem("is not in the tables", field=series.reference_id, value=series.quantity))
    return TrialArm(
        trial_id=series.reference_id,
        arm_id=series.arm_id,
        indication="disc_degeneration",
        intervention=series.intervention,
        schedule=series.schedule,
        n=max((r.n for r in readings if r.n), default=None),
        age_mean=series.age,
        baseline_mean=baseline,
        baseline_sd=baseline_sd,
        blinding=series.blinding,
        risk_of_bias="some",
        randomised=True,
        readings=readings,
        assumed=("blinding", "risk_of_bias"),
        notes=("control arm of a trial without cells, from the courses of the tables",),
    )


def _reading(row: NaturalHistory) -> Reading:
    scale = 10.0 if "0 to 10 scale" in (row.note or "") else 1.0
    share = row.unit == "percent"
    change = row.quantity.startswith("pain change")
    value = row.value / 100 if share else scale * row.value
    se = None
    if row.sd is not None and row.n:
        se = scale * row.sd / math.sqrt(row.n)
    elif row.low is not None and row.high is not None and row.interval == "ci95":
        se = scale * (row.high - row.low) / (2 * Z95)
    return Reading(
        month=row.time_months or 0.0,
        instrument="responder_30pct" if share else "VAS",
        kind="responders" if share else "change" if change else "level",
        statistic="mean",
        value=value,
        sd=None if row.sd is None else scale * row.sd,
        se=None if share else se,
        n=row.n,
        threshold_fraction=0.3 if share else None,
        reference_id=row.reference_id,
        note="from the table of natural history",
    )


def _pooled(evidence: Evidence, series: Series) -> Iterator[Reading]:
    for row in evidence.effects:
        if (row.reference_id, row.effect_metric) == (series.reference_id, series.quantity) and row.time_weeks:
            yield Reading(
                month=row.time_weeks * 7 / (365.25 / 12),
                instrument=f"responder_{_SHARES[series.quantity] * 100:.0f}pct",
                kind="responders",
                statistic="mean",
                value=row.value,
                n=row.n_patients,
                threshold_fraction=_SHARES[series.quantity],
                reference_id=row.reference_id,
                note="pooled over the control arms of four trials",
            )
