"""MCP-Mod against R mvtnorm, least squares by SciPy, and known dose responses."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize

from stemtrial.trial.doseresponse import Range, equicoordinate, optimal_contrast, shape
from stemtrial.trial.rules import Candidate

FIXTURE = json.loads(
    (Path(__file__).parent / "fixtures" / "mvtnorm" / "critical.json").read_text(encoding="utf-8")
)
CANDIDATES = tuple(
    Candidate(**{k: v if isinstance(v, str) else float(v) for k, v in entry.items()})
    for entry in FIXTURE["candidates"]
)


def ranged(row):
    names = tuple(f"arm{i}" for i in range(len(row["doses"])))
    return Range(names, tuple(map(float, row["doses"])), tuple(row["n"]), CANDIDATES, row["level"], 5.0)


@pytest.mark.parametrize("row", FIXTURE["rows"], ids=lambda r: f"{len(r['doses'])} doses")
def test_contrasts_correlation_and_critical_value_are_those_of_r(row):
    given = ranged(row)
    assert np.allclose(given.contrasts, row["contrasts"], atol=1e-9)
    assert np.allclose(given.correlation, row["correlation"], atol=1e-9)
    assert abs(given.critical - row["critical"]) < 4e-4


def test_independent_and_equal_statistics_have_known_critical_values():
    """Sidak for independent ones; one and the same statistic counts once."""
    from scipy.stats import norm

    assert abs(equicoordinate(np.eye(3), 0.05) - norm.ppf(0.95 ** (1 / 3))) < 3e-4
    assert abs(equicoordinate(np.ones((3, 3)), 0.025) - norm.ppf(0.975)) < 1e-9


def test_no_contrast_is_more_powerful_than_the_optimal_one():
    dose, n = np.array([0.0, 10, 40, 100]), np.array([40.0, 20, 30, 50])
    mu = shape(CANDIDATES[2], dose)

    def lost(c):
        c = c - c.mean()
        return -(c @ mu) / np.sqrt((c**2 / n).sum())

    best = min((minimize(lost, start).fun for start in np.eye(4)), default=0.0)
    ours = optimal_contrast(mu, n)
    assert abs(ours.sum()) < 1e-12
    assert abs(lost(ours) - best) < 1e-6


def test_fit_of_an_emax_curve_is_that_of_scipy():
    """To the fineness of the grid of half-effect doses, 40 values over a factor of 150."""
    dose, n = np.array([0.0, 10, 40, 100]), np.array([40, 20, 30, 50])
    rng = np.random.default_rng(2)
    means = 12 * dose / (dose + 20) + rng.normal(0, 1, (50, 4))
    given = Range(tuple("abcd"), tuple(dose), tuple(n.tolist()), (CANDIDATES[2],), 0.025, 5.0)
    best, effect = given.fitted(means, np.full(50, 400.0), np.ones((50, 1), bool))
    assert (best == 0).all()
    for mean, ours in zip(means, effect, strict=True):
        fit = least_squares(
            lambda p, m=mean: np.sqrt(n) * (p[0] + p[1] * dose / (dose + np.exp(p[2])) - m),
            [0, 10, 3],
            bounds=([-50, -200, np.log(1.0)], [50, 200, np.log(150)]),
        )
        theirs = fit.x[1] * dose / (dose + np.exp(fit.x[2]))
        own = ((mean - (mean * n).sum() / n.sum()) - (ours - (ours * n).sum() / n.sum())) ** 2
        assert (n * own).sum() <= 2.02 * fit.cost + 0.5
        assert np.abs(ours - theirs).max() < 0.4


def test_the_shape_that_made_exact_means_is_kept_and_no_shape_where_none_is_allowed():
    given = ranged(FIXTURE["rows"][3])
    dose = np.array(given.doses)
    for index in range(3):
        means = 10 * shape(CANDIDATES[index], dose)[None]
        best, effect = given.fitted(means, np.array([1e-3]), np.ones((1, 4), bool))
        assert best[0] == index or index == 2
        assert np.abs(effect - (means - means[:, :1])).max() < 0.05
    best, _ = given.fitted(means, np.array([1.0]), np.zeros((1, 4), bool))
    assert best[0] == -1
