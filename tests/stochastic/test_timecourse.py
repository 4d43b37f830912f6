"""Recovery of time courses from simulated trials whose truth is drawn from the priors.

The posterior cumulative probability of a true value is then uniform, so each of the 14 checks below lies outside
0.0001 to 0.9999 with probability 0.0002; the false-alarm rate of the file is below 0.003 for a new seed.
"""

import numpy as np
import pytest

from stemtrial.evidence.hierarchy import Priors, basis
from stemtrial.evidence.networkdata import Comparison, NetworkData
from stemtrial.evidence.sampling import Sampler
from stemtrial.evidence.synthesis import synthesise

PRIORS = Priors(
    effect=15.0,
    heterogeneity=5.0,
    drift=6.0,
    bias=10.0,
    bias_spread=4.0,
    dose=8.0,
    rho=(6.0, 4.0),
    phi=(6.0, 2.0),
)
KNOTS = (1.0, 3.0, 12.0)
VISITS = np.array([1.0, 3.0, 6.0, 12.0])
CELLS = ("cells_expanded_autologous", "cells_expanded_allogeneic")
DESIGNS = [("placebo", CELLS[0])] * 7 + [("placebo", CELLS[1])] * 5 + [("placebo", *CELLS)] * 3


def correlation(power):
    g = np.log2(1 + VISITS)
    return power ** np.abs(g[:, None] - g[None, :])


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(20240611)
    truth = {
        "tau": 5 * abs(rng.standard_normal()),
        "drift": 6 * abs(rng.standard_normal()),
        "kappa": 4 * abs(rng.standard_normal()),
        "rho": rng.beta(6, 4),
        "phi": rng.beta(6, 2),
        "bias": rng.normal(0, 10),
        "dose": rng.normal(0, 8),
    }
    steps = np.sqrt(np.diff(np.log2(1 + np.array(KNOTS)))) * truth["drift"]
    shape = basis(VISITS, np.array(KNOTS))
    course = {"placebo": np.zeros(4)}
    for name in CELLS:
        course[name] = shape @ np.concatenate([[rng.normal(0, 15)], rng.normal(0, steps)])
    rows = []
    for i, arms in enumerate(DESIGNS):
        unblinded = i % 3 == 0
        bias = unblinded * (truth["bias"] + truth["kappa"] * rng.standard_normal())
        spread = np.kron(0.5 + 0.5 * np.eye(len(arms) - 1), correlation(truth["phi"]))
        deviations = rng.multivariate_normal(np.zeros(len(spread)), truth["tau"] ** 2 * spread)
        errors = {
            name: rng.multivariate_normal(np.zeros(4), 4.0 * correlation(truth["rho"])) for name in arms
        }
        for j, name in enumerate(arms[1:]):
            log_dose = rng.uniform(-1, 1)
            y = course[name] + bias + truth["dose"] * log_dose + deviations[4 * j : 4 * j + 4]
            y = y + errors[name] - errors["placebo"]
            rows += [
                Comparison(
                    f"t{i}", month, f"{i}{name}", f"{i}p", name, "placebo", float(value), 2.0, 2.0, 100.0,
                    log_dose, 1, unblinded, "low", (),
                )
                for month, value in zip(VISITS, y, strict=True)
            ]  # fmt: skip
    found = synthesise(
        NetworkData(tuple(rows), ()),
        priors=PRIORS,
        sampler=Sampler(seed=5),
        reference="placebo",
        knots=KNOTS,
        dose_node="cells_expanded",
    )
    return truth, course, found


def inside(draws, true):
    return 0.0001 < float(np.mean(draws < true)) * (1 - 1 / draws.size) + 0.5 / draws.size < 0.9999


@pytest.mark.parametrize("name", ["tau", "drift", "kappa", "rho", "phi"])
def test_scales(world, name):
    truth, _, found = world
    assert inside(found.posterior.scales[name], truth[name])


@pytest.mark.parametrize("name", ["bias", "dose"])
def test_slopes(world, name):
    truth, _, found = world
    draws = found.posterior.b[:, found.posterior.columns.index(name)]
    assert inside(draws, truth[name])
    assert draws.std() < 0.6 * getattr(PRIORS, name)
    shown = {coefficient.name: coefficient for coefficient in found.coefficients(level=0.9)}
    assert shown.keys() == {"bias", "dose"}
    assert shown[name].value == np.median(draws)
    assert shown[name].interval == pytest.approx(np.quantile(draws, [0.05, 0.95]))


@pytest.mark.parametrize("name", CELLS)
def test_courses(world, name):
    _, course, found = world
    draws = found.course(VISITS)[:, found.treatments.index(name)]
    assert all(inside(draws[:, i], course[name][i]) for i in (0, 1, 3))
    assert np.all(draws.std(axis=0) < 0.3 * PRIORS.effect)
    effect = found.effect(name, "placebo", month=6.0)
    assert effect.prediction[0] < effect.interval[0] < course[name][2] + 15
    assert effect.prediction[1] > effect.interval[1] > course[name][2] - 15
    assert effect.status == "ok"
