"""Sobol indices against the Ishigami function, whose indices are known, and against the trials they come from."""

import numpy as np
import pytest

from stemtrial.trial.drivers import chance, drivers, first_order
from stemtrial.trial.replicates import simulate


def test_indices_of_the_ishigami_function():
    """Ishigami & Homma 1990 with a = 7, b = 0.1: 0.3139, 0.4424 and 0."""
    x = np.random.default_rng(1).uniform(-np.pi, np.pi, (3, 200_000))
    y = np.sin(x[0]) + 7 * np.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * np.sin(x[0])
    found = [first_order(values, y, 100) for values in x]
    assert np.allclose(found, [0.3139, 0.4424, 0.0], atol=0.006)


@pytest.mark.parametrize("bins", [4, 20, 60])
def test_an_input_without_effect_has_an_index_around_zero_whatever_the_bins(bins):
    """Mean over 400 small samples; without the correction it would be (bins - 1) / 300."""
    rng = np.random.default_rng(2)
    found = [first_order(*rng.normal(size=(2, 300)), bins) for _ in range(400)]
    assert abs(np.mean(found)) < 4.5 * np.std(found) / np.sqrt(len(found))


def test_chance_averages_to_the_share_of_trials_that_succeed(small):
    replicates = np.arange(3000)
    found = simulate(small, 4, replicates)
    expected = chance(small, found)
    difference = expected - found["success"]
    assert abs(difference.mean()) < 5 * difference.std() / np.sqrt(len(replicates)) + 0.01
    ranked = drivers(small, found, 4, replicates)
    assert [d.index for d in ranked] == sorted((d.index for d in ranked), reverse=True)
    assert 0.02 < sum(max(d.index, 0) for d in ranked) < 1.5
    first = ranked[0]
    assert abs(first.low - first.high) > 0.03
