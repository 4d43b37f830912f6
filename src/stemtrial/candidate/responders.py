"""Responders of published arms: as observed, and as an outlook would have told them without the trial.

Few trials print how many patients responded, and fewer by which rule. Where an arm prints mean and SD, the share that
improved by the important difference follows from a normal distribution of changes (Furukawa et al., *Int Clin
Psychopharmacol* 2005;20:49; da Costa et al., *Int J Epidemiol* 2012;41:1445), the change having the SD of two readings
that correlate by :data:`stemtrial.candidate.participants.CORRELATION` where it is not printed. The prediction is what
the outlook of a candidate is made of: virtual persons with the arm's covariates, widened as there, each with the chance
of a response.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from stemtrial.calibration.arms import Reading, TrialArm
from stemtrial.calibration.belief import Belief
from stemtrial.calibration.fitmodel import DOSES, OTHER_DOSE
from stemtrial.candidate.ensemble import Ensemble
from stemtrial.candidate.participants import CORRELATION, Participants
from stemtrial.candidate.person import Likeness
from stemtrial.candidate.spread import widening
from stemtrial.evidence.tables import Evidence
from stemtrial.mechanism.schedule import Kind, Schedule
from stemtrial.population.patients import People
from stemtrial.population.spec import Age, BaselinePain, BodyMassIndex, PopulationSpec, largest_sd

Basis = Literal["counted", "rated", "mean and SD"]

EARLIEST = 1.0
"""Month from which an outlook is given."""

RATED = "responder_pct"
"""Instrument of the table of outcomes: shares of patients who count as responders by a rule that was not printed."""

WIDEST = 0.9
"""Largest SD of an arm's pain before treatment, of what its mean leaves room for on 0-100."""


@dataclass(frozen=True)
class Asked:
    """A share of responders that an arm reports.

    Attributes
    ----------
    month
        After the start of treatment.
    threshold
        Improvement in points, or (below 1) as a fraction of a patient's own pain before.
    basis
        ``counted`` by this rule; ``rated`` by a rule of the trial that is not printed and held against this one; or
        from ``mean and SD``.
    n, share
        Patients, and the share that responded, 0 to 1.
    row, reference_id
        Row of the table of outcomes (1 = first) and its reference.
    """

    month: float
    threshold: float
    basis: Basis
    n: int
    share: float
    row: int | None
    reference_id: str

    @property
    def rule(self) -> str:
        """The threshold in words."""
        return f"{100 * self.threshold:g} %" if self.threshold < 1 else f"{self.threshold:g} points"


def asked(arm: TrialArm, evidence: Evidence, mcid: float) -> Iterator[Asked]:
    """Yield the shares of responders that an arm reports from :data:`EARLIEST` on.

    Examples
    --------
    >>> from stemtrial.calibration.published import published_arms
    >>> from stemtrial.evidence import load
    >>> arm = published_arms(load(), "knee_oa").of("kim_2023")[0]
    >>> [(each.month, each.basis, round(each.share, 2)) for each in asked(arm, load(), 15)]
    [(3.0, 'mean and SD', 0.62), (6.0, 'mean and SD', 0.66), (6.0, 'rated', 0.74)]
    """
    for reading in arm.readings:
        if reading.month < EARLIEST:
            continue
        n, source = reading.n or arm.n, (reading.row, reading.reference_id)
        if n is None:
            continue
        if reading.kind == "responders":
            limit = reading.threshold_fraction or reading.threshold
            if limit is not None:
                yield Asked(reading.month, limit, "counted", n, reading.value, *source)
            continue
        change = _change(arm, reading)
        if change is not None:
            share = float(ndtr((-mcid - change[0]) / change[1]))
            yield Asked(reading.month, mcid, "mean and SD", n, share, *source)
    for number, row in enumerate(evidence.outcomes, 1):
        here = (row.trial_id, row.arm_id, row.instrument) == (arm.trial_id, arm.arm_id, RATED)
        if here and (n := row.n or arm.n):
            yield Asked(row.time_months, mcid, "rated", n, row.value / 100, number, row.reference_id)


def _change(arm: TrialArm, reading: Reading) -> tuple[float, float] | None:
    """Return mean and SD of the change of pain, ``None`` where they are not known."""
    if reading.statistic != "mean" or not reading.sd:
        return None
    if reading.kind == "change":
        return reading.value, reading.sd
    if arm.baseline_mean is None or not arm.baseline_sd:
        return None
    before, after = arm.baseline_sd, reading.sd
    return reading.value - arm.baseline_mean, (before**2 + after**2 - 2 * CORRELATION * before * after) ** 0.5


def given(arm: TrialArm) -> Schedule:
    """Return what an arm was given; cells of a number that is not printed are as many as a fit expects at first."""
    assert arm.schedule is not None
    if arm.intervention != "cell_therapy" or arm.dose_million is not None:
        return arm.schedule
    dose, _ = DOSES.get(str(arm.product), OTHER_DOSE)
    events = arm.schedule.events
    return replace(
        arm.schedule,
        events=tuple(replace(e, amount=dose * e.amount) if e.kind is Kind.CELLS else e for e in events),
    )


def predict(
    arm: TrialArm,
    rows: Sequence[Asked],
    belief: Belief,
    trials: Participants,
    seed: int,
    draws: int = 400,
    patients: int = 25,
) -> np.ndarray:
    """Draw the shares of responders that would be observed, (draws, rows): constants, trial and sampling of n.

    Parameters
    ----------
    arm
        Whose patients and treatment; its readings are not looked at.
    rows
        Month, rule and number of patients of each share; the shares are not looked at.
    belief
        Where constants come from; that of the other trials (:func:`stemtrial.calibration.leftout.without`).
    trials
        Whose covariates stand where the arm prints none.
    seed, draws, patients
        Address of the draws, draws of the constants, and virtual patients for each.
    """
    months = tuple(sorted({row.month for row in rows}))
    address = (seed, np.arange(draws), 0, patients)
    people = People.draw(population(arm, trials), *address)
    like = Ensemble(
        belief.draw(seed, np.arange(draws)), Likeness(people, np.zeros(draws)), months, seed, patients
    )
    truth = like.follow(given(arm))
    wider = widening(like, truth, trials)
    rng = np.random.default_rng([seed, 59])
    found = np.empty((draws, len(rows)))
    for place, row in enumerate(rows):
        relative = row.threshold < 1
        limit = like.reported * (1 - row.threshold) if relative else like.reported - row.threshold
        index = months.index(row.month)
        share = (
            like.chance_below(truth, index, limit, wider.at(row.month)[0]).mean(axis=1).clip(1e-6, 1 - 1e-6)
        )
        if row.basis != "mean and SD":
            found[:, place] = rng.binomial(row.n, share) / row.n
        else:
            z = ndtri(share)
            error = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * np.sqrt((1 + 0.5 * z**2) / row.n)
            found[:, place] = np.clip(share + error * rng.standard_normal(draws), 0, 1)
    return found


def population(arm: TrialArm, trials: Participants) -> PopulationSpec:
    """Return the covariates of an arm; what it does not print is as among the participants of all trials."""
    spec = trials.spec
    pain = spec.baseline_pain.mean if arm.baseline_mean is None else arm.baseline_mean
    pain = min(max(pain, 2.0), 98.0)
    usual = spec.baseline_pain.sd if arm.baseline_mean is None else trials.within_sd("pain")
    spread = min(arm.baseline_sd or usual, WIDEST * largest_sd(pain, *BaselinePain.scale))
    grades: Mapping[int, float] = spec.severity
    if arm.grades is not None and all(grade >= 1 for grade in arm.grades):
        grades = arm.grades
    return PopulationSpec(
        age=Age(mean=arm.age_mean or spec.age.mean, sd=trials.within_sd("age"), min=18, max=100),
        bmi=BodyMassIndex(mean=arm.bmi_mean or spec.bmi.mean, sd=trials.within_sd("bmi"), min=12, max=70),
        female=spec.female if arm.female is None else arm.female,
        kl_grade=dict(grades),
        baseline_pain=BaselinePain(mean=pain, sd=spread),
    )
