"""A person as the model sees one, and virtual patients like that person.

What is known of the person is held fixed, what is unknown is drawn from the participants of the published trials
given what is known. Reported pain is a reading with noise, so true pain is distributed around it as in
:func:`stemtrial.population.patients.enrol`; reported function then says a little more about pain and about how this
person's function differs from that of others with equal pain.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from stemtrial.calibration.variants import NOT_RELEASED
from stemtrial.candidate.participants import Participants
from stemtrial.draws import Stream, normals, uniforms
from stemtrial.errors import InputError, Problem
from stemtrial.population.covariates import COVARIATES, Covariates, correlations, margins
from stemtrial.population.patients import Constants, People
from stemtrial.population.truncated import TruncatedNormal

LIMITS: dict[str, tuple[float, float]] = {
    "age": (18, 100),
    "bmi": (12, 70),
    "grade": (0, 4),
    "pain": (0, 100),
    "function": (0, 100),
}
"""Smallest and largest possible value of each number."""

_BIOLOGY = 10
"""Standard normal numbers that make a patient (:class:`stemtrial.population.patients.People`)."""

_PAIN, _OFFSET = 0, 8
"""Which of them place true pain around its reading, and function around what pain lets expect."""

_CANDIDATES = 8
"""Persons from whom one is chosen where function is known and pain is not."""

_MARGIN = {"age": "age", "bmi": "bmi", "pain": "baseline_pain"}

_FARTHEST = 6.0
"""Normal score at which a value beyond the participants' range is placed."""


@dataclass(frozen=True)
class Person:
    """What is known of a person before treatment; ``None`` is unknown and drawn from the trials' participants.

    Attributes
    ----------
    indication
        ``knee_oa``, the only one that can be simulated.
    age
        Years, 18 to 100.
    female
        Whether the person is a woman.
    bmi
        Body-mass index, kg/m², 12 to 70.
    grade
        Kellgren-Lawrence grade of the joint, 0 to 4.
    pain
        Pain that the person reports on 0-100, 100 the worst (a reading, with its noise).
    function
        Limitation of function that the person reports on 0-100, 100 the worst (WOMAC function, scaled).

    Raises
    ------
    InputError
        For a value outside its limits, one that is not finite, or an indication without a fitted model.

    Examples
    --------
    >>> Person("knee_oa", age=62, female=True, pain=64).known
    ('age', 'female', 'pain')
    """

    indication: str
    age: float | None = None
    female: bool | None = None
    bmi: float | None = None
    grade: int | None = None
    pain: float | None = None
    function: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.indication != "knee_oa":
            what = "cannot be simulated: the model " + NOT_RELEASED.get(self.indication, "is for the knee")
            problems.append(Problem(what, field="indication", value=self.indication, allowed="knee_oa"))
        for field, (low, high) in LIMITS.items():
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                problems.append(
                    Problem("is not possible", field=field, value=value, allowed=f"{low:g} to {high:g}")
                )
        if self.grade is not None and self.grade != int(self.grade):
            problems.append(
                Problem("is not a whole grade", field="grade", value=self.grade, allowed="0 to 4")
            )
        if problems:
            raise InputError(*problems)

    @property
    def known(self) -> tuple[str, ...]:
        """Names of what is known."""
        return tuple(
            name for name, value in asdict(self).items() if name != "indication" and value is not None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the person as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Likeness:
    """Virtual patients like a person.

    Attributes
    ----------
    people
        Covariates and what is particular to each patient, (groups, patients).
    log_weight
        How well the constants of each group explain the person's function at the reported pain, (groups,), 0 where
        function is unknown.
    """

    people: People
    log_weight: np.ndarray


def virtual(
    person: Person,
    participants: Participants,
    constants: Constants,
    seed: int,
    replicates: np.ndarray,
    patients: int,
) -> Likeness:
    """Draw virtual patients like a person.

    Parameters
    ----------
    person
        What is known.
    participants
        Whom the unknown is drawn from (:func:`stemtrial.candidate.participants.participants`).
    constants
        By registry symbol, one value a replicate.
    seed, replicates, patients
        Address of the draws; patients are numbered from 0.
    """
    z = normals(seed, Stream.BIOLOGY, replicates, 0, patients, _BIOLOGY)
    if person.function is None:
        covariates = _covariates(person, participants, seed, replicates, patients)
        log_weight = np.zeros(len(replicates))
    else:
        many = patients if person.pain is not None else _CANDIDATES * patients
        covariates = _covariates(person, participants, seed, replicates, many)
        expected, variance = _function_model(covariates, constants)
        density = np.exp(-0.5 * (person.function - expected) ** 2 / variance)
        log_weight = np.log(density.mean(axis=1)) - 0.5 * np.log(variance[:, 0])
        if many > patients:
            covariates = _chosen(covariates, density, seed, replicates, patients)
        error = normals(seed, Stream.COURSE, replicates, 0, patients, 1)[0]
        _condition(z, person.function, covariates, constants, error)
    return Likeness(People(covariates, z, (seed, replicates, 0, patients)), log_weight)


def changed(covariates: Covariates, change: Callable[[np.ndarray], np.ndarray]) -> Covariates:
    """Return covariates with all of their arrays changed in the same way."""
    return Covariates(
        age=change(covariates.age),
        bmi=change(covariates.bmi),
        female=change(covariates.female),
        grade=change(covariates.grade),
        pain=change(covariates.pain),
        pain_margin=covariates.pain_margin,
    )


def reading_model(covariates: Covariates, constants: Constants) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (groups, patients) and SD (groups, 1) of true pain given its reading at screening.

    The same model as in :func:`stemtrial.population.patients.enrol`, before clipping.
    """
    margin = covariates.pain_margin
    noise = np.hypot(constants["sd_fluct"], constants["sd_read"])[:, None]
    own = np.sqrt(np.maximum(margin.sigma**2 - noise**2, (0.25 * margin.sigma) ** 2))
    reliability = own**2 / (own**2 + noise**2)
    return margin.mu + reliability * (covariates.pain - margin.mu), own * np.sqrt(1 - reliability)


def _function_slopes(covariates: Covariates, constants: Constants) -> dict[int, np.ndarray]:
    """Points of reported function for one of each standard normal number that bears on it, (groups, 1)."""
    _, spread = reading_model(covariates, constants)
    return {
        _PAIN: constants["beta_F"][:, None] * spread,
        _OFFSET: constants["sd_function_patient"][:, None],
    }


def _function_model(covariates: Covariates, constants: Constants) -> tuple[np.ndarray, np.ndarray]:
    """Mean (groups, patients) and variance (groups, 1) of reported function given reported pain, before clipping."""
    centre, _ = reading_model(covariates, constants)
    slopes = _function_slopes(covariates, constants).values()
    variance = sum((slope**2 for slope in slopes), constants["sd_function"][:, None] ** 2)
    return constants["alpha_F"][:, None] + constants["beta_F"][:, None] * centre, np.asarray(variance)


def _condition(
    z: np.ndarray, function: float, covariates: Covariates, constants: Constants, error: np.ndarray
) -> None:
    """Condition true pain and the offset of function, in ``z``, on reported function.

    Both are normal before and the reading is linear in them, so a draw from the prior moved by the gain times its
    innovation is a draw from the posterior (Matheron's rule). Ends of the scales are ignored here.
    """
    expected, variance = _function_model(covariates, constants)
    slopes = _function_slopes(covariates, constants)
    simulated = (
        expected + sum(s * z[i] for i, s in slopes.items()) + constants["sd_function"][:, None] * error
    )
    for i, slope in slopes.items():
        z[i] += slope / variance * (function - simulated)


def _chosen(
    covariates: Covariates, density: np.ndarray, seed: int, replicates: np.ndarray, patients: int
) -> Covariates:
    """Choose so many of each group in proportion to a density, by systematic resampling."""
    share = np.cumsum(density / density.sum(axis=1, keepdims=True), axis=1)
    start = uniforms(seed, Stream.CONDUCT, replicates, 0, 1, 1)[0]
    ticks = (np.arange(patients) + start) / patients
    index = np.minimum((share[:, None, :] < ticks[:, :, None]).sum(axis=2), density.shape[1] - 1)
    return changed(covariates, lambda values: np.take_along_axis(values, index, axis=1))


def _covariates(
    person: Person, participants: Participants, seed: int, replicates: np.ndarray, patients: int
) -> Covariates:
    """Covariates with the known ones fixed, from the normal copula of the trials' participants.

    Exact where sex and grade are uncorrelated given the continuous covariates, as in the shipped table.
    """
    spec = participants.spec
    margin = {name: margins(spec)[_MARGIN[name]] for name in _MARGIN}
    grades = np.array(list(spec.severity), dtype=np.int64)
    bounds = ndtri(np.concatenate([[0.0], np.cumsum(list(spec.severity.values()))]).clip(0, 1))
    intervals: dict[str, tuple[float, float]] = {}
    if person.female is not None:
        cut = float(ndtri(spec.female))
        intervals["female"] = (-math.inf, cut) if person.female else (cut, math.inf)
    if person.grade is not None and person.grade in grades:
        at = int(np.flatnonzero(grades == person.grade)[0])
        intervals["grade"] = (float(bounds[at]), float(bounds[at + 1]))
    fixed = {n: _score(margin[n], v) for n in margin if (v := getattr(person, n)) is not None}
    order = sorted(COVARIATES, key=lambda n: (n not in fixed, n not in intervals, COVARIATES.index(n)))
    index = [COVARIATES.index(n) for n in order]
    factor = np.linalg.cholesky(correlations()[np.ix_(index, index)])
    z = normals(seed, Stream.COVARIATES, replicates, 0, patients, len(COVARIATES))
    innovations: list[np.ndarray] = []
    score: dict[str, np.ndarray] = {}
    for row, name in enumerate(order):
        before = np.asarray(sum((factor[row, j] * innovations[j] for j in range(row)), np.zeros(z.shape[1:])))
        own = z[COVARIATES.index(name)]
        if name in fixed:
            own = (fixed[name] - before) / factor[row, row]
        elif name in intervals:
            low, high = ((end - before) / factor[row, row] for end in intervals[name])
            own = _between(own, low, high)
        innovations.append(own)
        score[name] = before + factor[row, row] * own

    def continuous(name: str) -> np.ndarray:
        value = getattr(person, name)
        return margin[name].from_normal(score[name]) if value is None else np.full(z.shape[1:], float(value))

    female = score["female"] < ndtri(spec.female)
    grade = grades[np.searchsorted(bounds[1:-1], score["grade"], side="right")]
    return Covariates(
        age=continuous("age"),
        bmi=continuous("bmi"),
        female=female if person.female is None else np.full(female.shape, person.female),
        grade=grade if person.grade is None else np.full(grade.shape, max(person.grade, 1), np.int64),
        pain=continuous("pain"),
        pain_margin=margin["pain"],
    )


def _score(margin: TruncatedNormal, value: float) -> float:
    """Return the normal score of a value within a margin, far out for a value beyond its range."""
    low, x, high = ((v - margin.mu) / margin.sigma for v in (margin.low, value, margin.high))
    share = (ndtr(x) - ndtr(low)) / (ndtr(high) - ndtr(low))
    return float(np.clip(ndtri(np.clip(share, 0, 1)), -_FARTHEST, _FARTHEST))


def _between(z: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Turn standard normal numbers into ones truncated to an interval, keeping their order."""
    mirrored = low > 0
    a, b = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    u = ndtr(np.where(mirrored, -z, z))
    x = ndtri(ndtr(a) + u * (ndtr(b) - ndtr(a)))
    far = log_ndtr(b) < -700
    return np.asarray(np.where(mirrored, -1, 1) * np.where(far, b, np.clip(x, a, b)))
