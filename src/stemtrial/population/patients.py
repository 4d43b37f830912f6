"""Virtual patients: from covariates and constants to initial states, own constants and measurement noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy.special import ndtri

from stemtrial.draws import Identities, Stream, dirichlet, normals
from stemtrial.mechanism import equations
from stemtrial.population.covariates import Covariates, draw
from stemtrial.population.spec import PopulationSpec

Constants = Mapping[str, np.ndarray]
"""Constants of the model by registry symbol, one value a group (replicate)."""

MEAN_AGE, MEAN_BMI = 58.0, 28.5
"""Where the age slope of potency and the BMI slope of inflammation are zero."""

_FLOOR = 0.25
"""Least part of the spread of screening pain that is the patients' own, where noise alone would explain all of it."""


@dataclass(frozen=True)
class Patients:
    """Virtual patients of one arm, arrays (groups, patients).

    Attributes
    ----------
    covariates
        Baseline covariates; ``covariates.pain`` is the reading at screening.
    pain
        Pain behind that reading, points of 0-100.
    fluctuation
        Momentary deviation of the natural fluctuation at screening, points.
    function_offset
        A patient's constant deviation of function at equal pain, points.
    states, constants
        Initial states and own constants of the model, by name.
    regression_to_mean
        Expected fall of the readings from screening to later visits without any change, points, (groups,).
    """

    covariates: Covariates
    pain: np.ndarray
    fluctuation: np.ndarray
    function_offset: np.ndarray
    states: Mapping[str, np.ndarray]
    constants: Mapping[str, np.ndarray]
    regression_to_mean: np.ndarray


@dataclass(frozen=True)
class People:
    """Who is enrolled, whatever the constants of the model: covariates and standard normal numbers.

    Attributes
    ----------
    covariates
        Baseline covariates, arrays (groups, patients).
    z
        What is particular to a patient, (10, groups, patients).
    address
        Seed, replicates, first patient and number of patients.
    """

    covariates: Covariates
    z: np.ndarray
    address: tuple[int, np.ndarray, Identities, int]

    @classmethod
    def draw(
        cls, spec: PopulationSpec, seed: int, replicates: np.ndarray, first: Identities, patients: int
    ) -> "People":
        """Draw the patients of an address (:func:`stemtrial.draws.uniforms`)."""
        address = (seed, replicates, first, patients)
        return cls(
            draw(spec, *address), normals(seed, Stream.BIOLOGY, replicates, first, patients, 10), address
        )


def enrol(people: People, constants: Constants, *, autologous: bool) -> Patients:
    """Give people who pass screening their biology.

    Eligibility is decided on the *reading* at screening. A reading is pain plus fluctuation plus reading error, so
    readings above a threshold are high partly by chance and fall back later: regression to the mean arises by itself.
    The published contextual response contains it; what arises here is therefore taken off the contextual response.

    Parameters
    ----------
    people
        Who is enrolled.
    constants
        By registry symbol, one value a replicate, with ``cell_effect``, the trial's multiplier of potency.
    autologous
        Whether cells, if any, are the patients' own: then potency falls with age.
    """
    c = SimpleNamespace(**{name: np.asarray(value)[:, None] for name, value in constants.items()})
    covariates, z = people.covariates, people.z
    seed, replicates, first, patients = people.address
    margin = covariates.pain_margin

    noise = np.hypot(c.sd_fluct, c.sd_read)
    own = np.sqrt(np.maximum(margin.sigma**2 - noise**2, (_FLOOR * margin.sigma) ** 2))
    reliability = own**2 / (own**2 + noise**2)
    pain = margin.mu + reliability * (covariates.pain - margin.mu) + own * np.sqrt(1 - reliability) * z[0]
    pain = np.clip(pain, 1.0, 99.0)
    part = c.sd_fluct**2 / noise**2
    fluctuation = part * (covariates.pain - pain) + c.sd_fluct * np.sqrt(1 - part) * z[1]
    drop = (1 - reliability) * (margin.mean - margin.mu)

    weights = np.stack([np.asarray(constants[s]) for s in ("s_P", "s_X", "s_c", "s_V")], axis=1)
    shapes = (
        weights / weights.sum(axis=1, keepdims=True) * np.asarray(constants["shares_concentration"])[:, None]
    )
    s_P, s_X, s_c, _ = dirichlet(seed, Stream.SHARES, replicates, first, patients, shapes)

    P0 = np.exp(c.sd_ln_P0 * z[2] + c.P0_bmi * (covariates.bmi - MEAN_BMI))
    by_grade = np.stack([np.asarray(constants[f"X0_{g}"]) for g in (1, 2, 3, 4)], axis=1)
    X0 = np.take_along_axis(by_grade, covariates.grade - 1, axis=1) + c.sd_X0 * z[3]
    X0 = np.clip(X0, 0.05, 0.98)
    rho_X = np.abs(c.rho_X + c.sd_rho_X * z[4]) / equations.DAYS_PER_YEAR
    shared = SimpleNamespace(R_b=c.R_b, sig_X=c.sig_X / equations.DAYS_PER_YEAR)
    states, own_constants = equations.baseline(pain, X0, P0, s_P, s_X, s_c, rho_X, shared)
    presensitised = z[9] < ndtri(c.presensitised)
    states.A = np.where(presensitised, c.A_presensitised, 0.0)

    age_slope = c.potency_age if autologous else 0.0
    potency = c.cell_effect * np.exp(c.sd_ln_potency * z[5] - age_slope * (covariates.age - MEAN_AGE))
    responsiveness = np.exp(c.sd_ln_ctx * z[6] - 0.5 * c.sd_ln_ctx**2)
    # The published slope is per point of reported baseline; nobody loses more pain than there is.
    context = np.maximum(c.ctx_Emax * (1 + c.ctx_slope * (covariates.pain - 50)) - drop, 0)
    context = np.minimum(responsiveness * context, pain / c.route_injection)
    nothing = np.zeros_like(pain)
    return Patients(
        covariates=covariates,
        pain=pain,
        fluctuation=fluctuation,
        function_offset=c.sd_function_patient * z[8],
        states=vars(states),
        constants={
            **vars(own_constants),
            "k_M": c.k_M * np.exp(c.sd_ln_k_M * z[7]),
            "potency": potency,
            "ctx": context,
            **dict.fromkeys(("n_steady", "n_fading", "o_steady", "o_fading"), nothing),
        },
        regression_to_mean=drop[:, 0],
    )
