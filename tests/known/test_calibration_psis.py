"""Pareto smoothing and stacking against closed forms."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from stemtrial.calibration import psis
from stemtrial.errors import InputError


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.4, 0.9])
def test_shape_of_a_generalised_pareto_distribution(k):
    n = 20_000
    x = stats.genpareto.ppf((np.arange(n) + 0.5) / n, k, scale=2.0)
    assert psis.generalised_pareto(x) == pytest.approx((k, 2.0), abs=0.02)


def test_k_tells_the_tail_of_the_ratios():
    """Exponential proposals of rate r for a target of rate 1 have ratios with tail shape k = 1 - 1 / r."""
    u = (np.random.default_rng(2).permutation(50_000) + 0.5) / 50_000
    for rate, k in [(2.0, 0.5), (1.25, 0.2), (4.0, 0.75)]:
        x = -np.log(u) / rate
        assert psis.psis(-x + rate * x).k[0] == pytest.approx(k, abs=0.1)


def test_importance_sampling_of_a_normal():
    rng = np.random.default_rng(4)
    x = 1.5 * rng.standard_t(5, 40_000)
    found = psis.psis(stats.norm.logpdf(x, 0.5) - stats.t.logpdf(x / 1.5, 5) + 17.0)
    w = np.exp(found.log_weights[:, 0])
    assert w.sum() == pytest.approx(1.0)
    assert found.ess[0] == pytest.approx(1 / (w**2).sum())
    error = 1 / np.sqrt(found.ess[0])
    assert abs(w @ x - 0.5) < 4 * error
    assert abs(w @ (x - 0.5) ** 2 - 1) < 6 * error


def test_leave_one_out_of_a_normal_mean_is_the_exact_refit():
    """y_i ~ N(theta, 1) under a flat prior: leaving y_i out predicts N(mean of the others, 1 + 1 / (n - 1))."""
    rng = np.random.default_rng(6)
    y, n = rng.normal(1.0, 1.0, 20), 20
    theta = rng.normal(y.mean(), n**-0.5, 20_000)
    found = psis.leave_one_out(stats.norm.logpdf(y, theta[:, None], 1.0))
    others = (y.sum() - y) / (n - 1)
    exact = stats.norm.logpdf(y, others, np.sqrt(1 + 1 / (n - 1)))
    np.testing.assert_allclose(found.elpd, exact, atol=0.02)
    assert (found.k < psis.threshold(20_000)).all()


def test_equal_ratios_and_short_tails():
    flat = psis.psis(np.zeros((100, 1)))
    np.testing.assert_allclose(np.exp(flat.log_weights), 0.01)
    assert flat.ess[0] == pytest.approx(100)
    assert np.isinf(flat.k[0])


def test_stacking_of_two_models_solves_its_score_equation():
    """Of 10 rows one model holds 7, the other 3: densities (p, q) or (q, p) with p w + q (1 - w) balanced."""
    p, q = np.log(0.6), np.log(0.2)
    first = np.where(np.arange(10) < 7, p, q)
    second = np.where(np.arange(10) < 7, q, p)
    # 0.7 * 0.4 / (0.2 + 0.4 w) = 0.3 * 0.4 / (0.6 - 0.4 w)  ->  w = 0.9
    assert psis.stacking({"a": first, "b": second}) == pytest.approx({"a": 0.9, "b": 0.1}, abs=1e-3)


def test_stacking_of_equal_models_and_far_scores():
    same = np.array([-1.0, -3.0])
    weights = psis.stacking({"a": same, "b": same})
    assert sum(weights.values()) == pytest.approx(1.0)
    far = psis.stacking({"a": np.array([-2000.0, -2000.0]), "b": np.array([-2001.0, -1000.0])})
    # densities (1, 1/e) and (0, 1): (1 - 1/e) / (1/e + (1 - 1/e) w) = 1 / (1 - w)
    assert far["a"] == pytest.approx((1 - 2 / np.e) / (2 - 2 / np.e), abs=1e-3)


def test_bad_psis_input():
    with pytest.raises(InputError, match="finite"):
        psis.psis(np.array([np.nan] + [0.0] * 99))
    with pytest.raises(InputError, match="25 draws"):
        psis.psis(np.zeros(10))
    with pytest.raises(InputError, match="efficiencies"):
        psis.psis(np.zeros(100), 0.0)
    with pytest.raises(InputError, match="finite"):
        psis.stacking({"a": np.array([np.inf]), "b": np.array([0.0])})


def test_averaged_stacking_of_two_models_against_quadrature():
    """Two models: the mean of w under the product of mixed densities is an integral over one number."""
    first, second = np.log([0.9, 0.2, 0.5, 0.7]), np.log([0.3, 0.6, 0.4, 0.1])

    def likelihood(w):
        return np.prod(w * np.exp(first) + (1 - w) * np.exp(second))

    exact = quad(lambda w: w * likelihood(w), 0, 1)[0] / quad(likelihood, 0, 1)[0]
    found = psis.averaged_stacking({"a": first, "b": second})
    assert found["a"] == pytest.approx(exact, abs=0.003)  # 4 standard errors of 200,000 mixtures
    assert sum(found.values()) == pytest.approx(1)


def test_averaged_stacking_does_not_jump_where_rows_tell_nothing():
    near = {"a": np.full(30, -1.0), "b": np.full(30, -1.01), "c": np.full(30, -1.02)}
    assert psis.stacking(near)["a"] > 0.99
    averaged = psis.averaged_stacking(near)
    assert all(0.28 < w < 0.39 for w in averaged.values())
    assert averaged["a"] > averaged["b"] > averaged["c"]
