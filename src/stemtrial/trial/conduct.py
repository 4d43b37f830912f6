"""Conduct of a trial: what is measured at the visits, who drops out, who takes rescue medicine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.draws import Stream, normals, uniforms
from stemtrial.mechanism.cohort import Cohort
from stemtrial.mechanism.schedule import DAYS_PER_MONTH
from stemtrial.population.patients import Constants, Patients
from stemtrial.trial.protocol import Conduct

INSTRUMENTS = ("VAS", "WOMAC_pain", "WOMAC_function")
"""What is measured at every visit, on 0-100, lower is better."""


@dataclass(frozen=True)
class ArmRecord:
    """What was seen in one arm, arrays (visits, groups, patients) unless said otherwise.

    Attributes
    ----------
    baseline
        Readings at screening by instrument, (groups, patients).
    readings
        Readings at the visits by instrument, also of patients who had left (:attr:`present` tells).
    present
        Whether the patient was still in the trial.
    rescued
        Whether the patient had begun rescue medicine before the visit.
    pain, function
        True values behind the readings, without fluctuation.
    relief
        Parts of the relief of pain at the main visit, (parts, groups, patients).
    function_gain
        Fall of the limitation of function by the main visit, (groups, patients).
    """

    baseline: Mapping[str, np.ndarray]
    readings: Mapping[str, np.ndarray]
    present: np.ndarray
    rescued: np.ndarray
    pain: np.ndarray
    function: np.ndarray
    relief: np.ndarray
    function_gain: np.ndarray


def _measure(
    pain: np.ndarray, function: np.ndarray, fluctuation: np.ndarray, course: np.ndarray, errors: np.ndarray,
    patients: Patients, c: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Turn true values into readings; ``errors`` holds three standard normal numbers a patient."""
    own = np.clip(pain + course, 0, 100)
    offset = c["beta_F"] * course + patients.function_offset
    return {
        "VAS": np.clip(pain + course + fluctuation + c["sd_read"] * errors[0], 0, 100),
        "WOMAC_pain": np.clip(
            c["womac_slope"] * own + c["womac_intercept"] + c["sd_womac"] * errors[1], 0, 100
        ),
        "WOMAC_function": np.clip(function + offset + c["sd_function"] * errors[2], 0, 100),
    }


@dataclass(frozen=True)
class Chance:
    """What chance does to the patients of an arm besides their biology: noise of the readings and dropout.

    Attributes
    ----------
    noise
        Standard normal numbers, three at screening and five at each visit, (3 + 5 visits, groups, patients).
    dropout
        Uniform number that sets when a patient leaves, (groups, patients).
    """

    noise: np.ndarray
    dropout: np.ndarray

    @classmethod
    def draw(cls, visits: int, seed: int, replicates: np.ndarray, first: int, patients: int) -> "Chance":
        """Draw for a number of visits and the patients of an address (:func:`stemtrial.draws.uniforms`)."""
        return cls(
            normals(seed, Stream.COURSE, replicates, first, patients, 3 + 5 * visits),
            uniforms(seed, Stream.CONDUCT, replicates, first, patients, 1)[0],
        )


def dropout_rate(conduct: Conduct) -> float:
    """Constant rate of leaving the trial, per month, from the share lost by month 12."""
    return -float(np.log1p(-conduct.dropout_by_month_12)) / 12


def conduct_arm(
    cohort: Cohort,
    patients: Patients,
    constants: Constants,
    visits: Sequence[float],
    rescue_visits: Sequence[float],
    main_month: float,
    rules: Conduct,
    chance: Chance,
) -> ArmRecord:
    """Follow one arm through its visits.

    A patient who reads above the rescue threshold at a visit takes the rescue medicine from that visit on. A patient
    leaves at a constant rate, whatever the pain; the course of those who left goes on unseen.

    Parameters
    ----------
    cohort, patients
        The arm at day 0 (:func:`stemtrial.simulation.treat`).
    constants
        By registry symbol, one value a group.
    visits
        Months of the visits.
    rescue_visits
        Those of them at which rescue medicine can be started.
    main_month
        Visit at which relief is taken apart.
    rules
        Dropout and rescue.
    chance
        Noise and dropout of these patients.
    """
    c = {name: np.asarray(value)[:, None] for name, value in constants.items()}
    shape = patients.pain.shape
    z = chance.noise
    rate = dropout_rate(rules)
    leaves = -np.log(chance.dropout) / rate if rate > 0 else np.full(shape, np.inf)

    start_function = cohort.function()
    baseline = _measure(
        patients.pain, start_function, patients.fluctuation, np.zeros(shape), z[:3], patients, c
    )
    baseline["VAS"] = patients.covariates.pain
    fluctuation, course = patients.fluctuation, np.zeros(shape)
    on_rescue = np.zeros(shape, bool)
    already = rules.rescue_analgesia is not None and any(
        e.kind.name.lower() == rules.rescue_analgesia.drug for e in cohort.schedule.events
    )
    pain, function, present, rescued, relief = [], [], [], [], None
    readings: dict[str, list[np.ndarray]] = {name: [] for name in INSTRUMENTS}
    before = 0.0
    for k, month in enumerate(visits):
        days = (month - before) * DAYS_PER_MONTH
        before = month
        cohort.advance(month * DAYS_PER_MONTH)
        keep = np.exp(-days / c["tau_fluct"])
        fluctuation = keep * fluctuation + c["sd_fluct"] * np.sqrt(1 - keep**2) * z[3 + 5 * k]
        keep = np.exp(-days / c["tau_course"])
        course = keep * course + c["sd_course"] * np.sqrt(1 - keep**2) * z[4 + 5 * k]
        pain.append(cohort.pain())
        function.append(cohort.function())
        seen = _measure(pain[-1], function[-1], fluctuation, course, z[5 + 5 * k : 8 + 5 * k], patients, c)
        for name in INSTRUMENTS:
            readings[name].append(seen[name])
        present.append(leaves > month)
        rescued.append(on_rescue)
        if month == main_month:
            relief, function_gain = cohort.relief(), start_function - function[-1]
        if rules.rescue_analgesia is not None and not already and month in rescue_visits:
            starts = (seen["VAS"] > rules.rescue_analgesia.pain_above) & present[-1] & ~on_rescue
            cohort.rescue(rules.rescue_analgesia.drug, starts)
            on_rescue = on_rescue | starts
    if relief is None:
        raise ValueError(f"month {main_month:g} is not a visit")
    return ArmRecord(
        baseline=baseline,
        readings={name: np.stack(values) for name, values in readings.items()},
        present=np.stack(present),
        rescued=np.stack(rescued),
        pain=np.stack(pain),
        function=np.stack(function),
        relief=relief,
        function_gain=function_gain,
    )
