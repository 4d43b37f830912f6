"""Levels of the tests of uniformity, and of the fair score, by simulation with fixed seeds."""

import numpy as np
from scipy import stats

from stemtrial.calibration import scores


def test_p_values_are_valid_and_nearly_exact():
    """False-alarm rate 1e-4 each: rejections at 5 % and 20 % in 600 uniform samples are binomial or fewer."""
    rng = np.random.default_rng(11)
    p = np.array([scores.ecdf_test(rng.integers(0, 100, 100), 99, points=20).p_value for _ in range(600)])
    for level in (0.05, 0.2):
        rejected = int((p <= level).sum())
        assert rejected <= stats.binom.isf(1e-4, 600, level)
        assert rejected >= stats.binom.ppf(1e-4, 600, 0.8 * level)


def test_band_holds_uniform_ecdfs():
    """False-alarm rate 1e-4: the share of 4000 uniform samples that leave the band is at most 5 %."""
    rng, band = np.random.default_rng(12), scores.ecdf_band(50, 199, points=25)
    u = (rng.integers(0, 200, (4000, 50)) + 1) / 200
    ecdf = (u[:, :, None] <= band.z + 1e-12).mean(axis=1)
    left = ((ecdf < band.low - 1e-12) | (ecdf > band.high + 1e-12)).any(axis=1).sum()
    assert stats.binom.ppf(1e-4, 4000, 0.03) <= left <= stats.binom.isf(1e-4, 4000, 0.05)


def test_fair_score_is_unbiased_for_few_draws():
    """False-alarm rate 6e-5 (4 SE): the mean fair CRPS of 5 draws is that of their normal distribution."""
    rng = np.random.default_rng(13)
    draws, y = rng.normal(1.0, 2.0, (5, 40_000)), np.full(40_000, 2.5)
    found = scores.crps(draws, y, fair=True)
    closed = float(scores.crps_normal(np.array(1.0), np.array(2.0), np.array(2.5)))
    assert abs(found.mean() - closed) < 4 * found.std() / 200
    assert scores.crps(draws, y, fair=False).mean() > closed + 0.1


def test_pit_of_a_calibrated_ensemble_is_uniform():
    """False-alarm rate 1e-4."""
    rng = np.random.default_rng(14)
    p = scores.pit(rng.normal(size=(19, 5000)), rng.normal(size=5000), seed=1)
    assert stats.kstest(p, "uniform").pvalue > 1e-4
