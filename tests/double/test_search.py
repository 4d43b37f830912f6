"""Sizes of a trial against runs of trials of exactly those sizes."""

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.trial.replicates import Plan, simulate
from stemtrial.trial.search import Curve, enlarged, search

SEED = 11


def test_every_size_is_the_trial_of_that_size(small):
    found = search(small, [20, 40, 80], 30, SEED, 2)
    for i, size in enumerate((20, 40, 80)):
        trial = Plan.of(enlarged(small.trial, size / 40))
        assert sum(arm.n for arm in trial.trial.arms.values()) == found.curves["power"][found.main].sizes[i]
        run = simulate(trial, SEED, np.arange(30))
        for scenario, name in (
            ("assurance", "success"),
            ("power", "typical_success"),
            ("type_one_error", "null_success"),
        ):
            assert found.curves[scenario][found.main].share[i] == run[name].mean()


def test_size_for_a_target_on_a_known_curve():
    """Success shares 0.2, 0.4, 0.8 at 100, 200, 300: 0.6 is reached at 250."""
    success = np.zeros((10_000, 3), bool)
    for i, share in enumerate((0.2, 0.4, 0.8)):
        success[: int(share * 10_000), i] = True
    answer = Curve.of(np.array([100, 200, 300]), success).size_for(0.6)
    assert answer.size == 250
    assert 245 < answer.low < 250 < answer.high < 255
    assert Curve.of(np.array([100, 200, 300]), success).size_for(0.9).size is None


def test_a_dip_by_chance_is_pooled():
    success = np.zeros((1000, 3), bool)
    for i, share in enumerate((0.5, 0.4, 0.6)):
        success[: int(share * 1000), i] = True
    curve = Curve.of(np.array([10, 20, 30]), success)
    assert curve.size_for(0.45).size == 10
    assert curve.size_for(0.6).size == 30


def test_wilson_interval():
    """Wilson (1927) for 8 of 10: 0.490 to 0.943."""
    success = np.arange(10)[:, None] < 8
    curve = Curve.of(np.array([1]), success)
    assert np.allclose([curve.low[0], curve.high[0]], [0.4902, 0.9433], atol=5e-5)


@pytest.mark.parametrize("sizes", [[40, 20], [20, 20], [4, 40]])
def test_sizes_that_make_no_sense(small, sizes):
    with pytest.raises(InputError, match="must increase and give every arm four patients"):
        search(small, sizes, 10, SEED, 1)
