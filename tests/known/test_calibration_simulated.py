"""Simulation-based calibration and mixtures of structures, where the answers are known."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration.fitmodel import FREEDOM, SHARED_ERROR, FitModel
from stemtrial.calibration.mixture import shares
from stemtrial.calibration.simulated import (
    CONTRASTS,
    NAMES,
    SHOWN,
    Simulated,
    made_problem,
    quantities,
    simulate_data,
    simulate_readings,
)


def test_shares_are_whole_and_in_proportion():
    rng = np.random.default_rng(1)
    for _ in range(50):
        weights = dict(zip("abc", rng.dirichlet(np.ones(3)), strict=True))
        found = shares(weights, 997)
        assert sum(found.values()) == 997
        assert all(abs(found[name] - 997 * weights[name]) < 1 for name in weights)
    assert shares({"a": 1.0, "b": 0.0}, 10) == {"a": 10, "b": 0}


def test_uniform_ranks_pass_and_ranks_of_too_narrow_fits_do_not():
    """The first is exact: every rank twice. The second: ranks of normal truths among draws with half their SD."""
    rng = np.random.default_rng(2)
    truth, draws = rng.standard_normal(400), 0.5 * rng.standard_normal((99, 400))
    even, narrow = np.repeat(np.arange(100), 2), (draws < truth).sum(axis=0)
    assert Simulated({"even": even}, 99, 0).smallest_p > 0.9
    assert Simulated({"narrow": narrow}, 99, 0).smallest_p < 1e-6
    by_level = {c["level"]: c["share"] for c in Simulated({"even": even}, 99, 0).coverage()}
    assert by_level == pytest.approx({0.5: 0.5, 0.8: 0.8, 0.9: 0.9})
    assert all(c["share"] < c["level"] - 0.1 for c in Simulated({"narrow": narrow}, 99, 0).coverage())


def test_the_made_problem_has_every_kind_of_unknown():
    model = FitModel(made_problem())
    assert all(model.sizes[kind] for kind in ("context", "onset", "cells", "baseline", "dose", "spread"))
    assert set(model.rows.kind) == {0, 1, 2}
    assert len(NAMES) >= 15


def test_quantities_of_draws_are_those_of_each():
    """Side by side and alone, the same numbers in the order of their names."""
    model = FitModel(made_problem())
    z = 0.3 * np.random.default_rng(5).standard_normal((3, model.dimension))
    y = simulate_data(model, z[:1], 6)[0]
    found = quantities(model, z, y)
    assert found.shape == (3, len(NAMES))
    for row, one in zip(found, z, strict=True):
        assert row == pytest.approx(quantities(model, one[None], y)[0], rel=1e-12)
        c, mean = model.constants(model.parts(one)), model.moments(model.parts(one))["mean"]
        expected = [*c.take(SHOWN), *(mean[a] - mean[b] for a, b in CONTRASTS.values())]
        assert row[:-1] == pytest.approx(expected, rel=1e-12)
        assert row[-1] == pytest.approx(sum(part.sum() for part in model.log_likelihood(one, y)), rel=1e-12)


def test_simulated_data_follow_the_likelihood():
    """Readings are Student t, printed baselines normal; false alarms: 1 in 1000 for each of three tests."""
    model = FitModel(made_problem())
    z = 0.3 * np.random.default_rng(3).standard_normal(model.dimension)
    data = simulate_data(model, np.repeat(z[None], 2000, axis=0), 4)
    y = simulate_readings(model, np.repeat(z[None], 2000, axis=0), 4)
    assert np.array_equal(data[:, : len(model.rows.y)], y)
    m = model.moments(model.parts(z))
    error = (y - m["mean"]) / m["gain"]
    printed = (data[:, len(model.rows.y) :] - m["baseline_mean"]) / m["baseline_sd"]
    assert stats.kstest(printed.ravel(), stats.norm.cdf).pvalue > 1e-3
    own = model.rows.arm == 1
    common = m["arm_sd"][1] ** 2 + SHARED_ERROR * (m["se"][own] ** 2).mean()
    variance = common + m["tau_visit"] ** 2 + (1 - SHARED_ERROR) * m["se"][own] ** 2
    scale = np.sqrt(variance * (FREEDOM - 2) / FREEDOM)
    assert stats.kstest(error[:, own][:, 0] / scale[0], stats.t(FREEDOM).cdf).pvalue > 1e-3
    found = np.corrcoef(error[:, own].T)[0, 1]
    expected = common / np.sqrt(variance.prod())
    # heavy tails make a correlation less sure than 1 / sqrt(n)
    assert abs(np.arctanh(found) - np.arctanh(expected)) < 3.29 * 2 / np.sqrt(2000)
