"""The limit of the spread of a truncated normal distribution, against SciPy's distributions."""

import math

import pytest
from scipy import stats
from scipy.optimize import brentq

from stemtrial.population.spec import largest_sd


@pytest.mark.parametrize("mean", [40.5, 45, 58, 69.9, 70, 75, 99])
def test_limit_is_the_spread_of_the_truncated_exponential_with_the_same_mean(mean: float) -> None:
    low, high = 40.0, 100.0
    near = min(mean - low, high - mean)  # the mirror image has the same spread

    def excess(scale: float) -> float:
        return float(stats.truncexpon(b=(high - low) / scale, scale=scale).mean()) - near

    if mean == 70:
        assert largest_sd(mean, low, high) == pytest.approx(stats.uniform(low, high - low).std(), rel=1e-12)
        return
    scale = brentq(excess, 0.1, 1e5, xtol=1e-12, rtol=1e-14)
    expected = float(stats.truncexpon(b=(high - low) / scale, scale=scale).std())
    assert largest_sd(mean, low, high) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("mean", "low", "high"), [(58, 40, 100), (65, 40, 100), (58, 40, 75), (45, 40, 90)])
def test_truncated_normals_of_one_mean_approach_the_limit_from_below(
    mean: float, low: float, high: float
) -> None:
    limit, spreads = largest_sd(mean, low, high), []
    for sigma in (5.0, 20.0, 60.0, 250.0):

        def excess(location: float, sigma: float = sigma) -> float:
            ends = (low - location) / sigma, (high - location) / sigma
            return float(stats.truncnorm(*ends, loc=location, scale=sigma).mean()) - mean

        reach = 40 * sigma**2 / (high - low)
        location = brentq(excess, mean - reach, mean + reach)
        parent = stats.truncnorm(
            (low - location) / sigma, (high - location) / sigma, loc=location, scale=sigma
        )
        spreads.append(float(parent.std()))
    assert spreads == sorted(spreads)
    assert all(spread < limit for spread in spreads)
    assert spreads[-1] == pytest.approx(limit, rel=2e-2)


def test_one_limit_gives_the_exponential_and_no_limit_any_spread() -> None:
    assert largest_sd(5e-324, 0, 100) == 5e-324
    assert largest_sd(45, low=40) == pytest.approx(stats.expon(scale=5).std())
    assert largest_sd(33, high=35) == 2
    assert math.isinf(largest_sd(58))


def test_extreme_means_and_the_middle_are_smooth() -> None:
    assert largest_sd(1e-9, 0, 1) == pytest.approx(1e-9, rel=1e-6)
    assert largest_sd(0.4998, 0, 1) == pytest.approx(math.sqrt(1 / 12), rel=1e-6)
    assert largest_sd(0.4998, 0, 1) == pytest.approx(largest_sd(0.5002, 0, 1), rel=1e-9)
