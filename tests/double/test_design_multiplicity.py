"""Adjusted p values against their definitions, published tables and SciPy's multivariate distributions."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from stemtrial.errors import InputError
from stemtrial.trial.multiplicity import bonferroni, dunnett, dunnett_critical, fixed_sequence, hochberg, holm


def closed_bonferroni(p: np.ndarray) -> np.ndarray:
    """Holm as the closed test whose intersections are tested by Bonferroni: every subset, no sorting."""
    m = len(p)
    sets = [s for size in range(1, m + 1) for s in combinations(range(m), size)]
    return np.array([max(min(1, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(m)])


def stepped_up(p: np.ndarray, alpha: float) -> np.ndarray:
    """Hochberg's decision by its definition."""
    order = np.argsort(p)[::-1]
    for rank, index in enumerate(order, start=1):
        if p[index] <= alpha / rank:
            return p <= p[index]
    return np.zeros(len(p), bool)


def test_replicates_against_definitions() -> None:
    p = np.random.default_rng(3).beta(0.4, 2, (300, 4))
    assert holm(p) == pytest.approx(np.array([closed_bonferroni(x) for x in p]), abs=1e-15)
    for alpha in (0.01, 0.05, 0.3):
        assert np.array_equal(hochberg(p) <= alpha, [stepped_up(x, alpha) for x in p])
    first = [[max(x[: i + 1]) for i in range(4)] for x in p]
    assert np.array_equal(fixed_sequence(p), first)
    assert np.array_equal(bonferroni(p), np.minimum(4 * p, 1))
    assert np.all(p <= hochberg(p))
    assert np.all(hochberg(p) <= holm(p))
    assert np.all(holm(p) <= bonferroni(p))


@pytest.mark.parametrize("adjust", [holm, hochberg, fixed_sequence])
def test_a_missing_analysis_is_never_rejected_and_never_helps(adjust) -> None:
    p = np.array([[0.001, np.nan, 0.02]])
    found = adjust(p)
    assert np.isnan(found[0, 1])
    assert np.array_equal(found[0, [0, 2]], adjust(np.array([[0.001, 1.0, 0.02]]))[0, [0, 2]])


# Dunnett 1955 and 1964: critical values at 5 % for equal groups.
@pytest.mark.parametrize(
    ("arms", "df", "sides", "value"),
    [(2, np.inf, 2, 2.21), (3, np.inf, 2, 2.35), (4, np.inf, 2, 2.44), (2, 20, 2, 2.38), (3, 20, 2, 2.54),
     (2, 20, 1, 2.03), (3, 20, 1, 2.19), (2, np.inf, 1, 1.92), (3, np.inf, 1, 2.06)],
)  # fmt: skip
def test_published_critical_values(arms, df, sides, value) -> None:
    assert dunnett_critical(0.05, np.ones(arms), df, sides) == pytest.approx(value, abs=0.0051)


def test_unequal_groups_against_the_multivariate_normal() -> None:
    ratios = np.array([1.0, 0.5, 2.0])
    loading = np.sqrt(ratios / (1 + ratios))
    correlation = np.outer(loading, loading)
    np.fill_diagonal(correlation, 1)
    joint = stats.multivariate_normal(np.zeros(3), correlation, seed=1, abseps=1e-7, releps=1e-7)
    t = np.array([[2.3, 1.1, -0.4]])
    expected = [1 - joint.cdf(np.full(3, x)) for x in t[0]]
    assert dunnett(t, ratios, np.array([np.inf]), 1)[0] == pytest.approx(expected, abs=1e-5)
    two = [1 - joint.cdf(np.full(3, abs(x)), lower_limit=-np.full(3, abs(x))) for x in t[0]]
    assert dunnett(t, ratios, np.array([np.inf]), 2)[0] == pytest.approx(two, abs=1e-5)


@pytest.mark.parametrize("sides", [1, 2])
def test_one_arm_is_student_and_extremes_stay_exact(sides) -> None:
    t = np.array([[-3.0], [0.0], [0.7], [2.5], [9.0], [60.0], [np.nan], [1.0]])
    df = np.array([5, 5, 5, 5, 5, 5, 5, 0])
    with np.errstate(invalid="ignore"):
        expected = sides * stats.t.sf(np.abs(t[:6, 0]) if sides == 2 else t[:6, 0], 5)
    found = dunnett(t, np.ones(1), df, sides)[:, 0]
    assert found[:6] == pytest.approx(expected, abs=1e-6)
    assert np.isnan(found[6:]).all()
    with pytest.raises(InputError):
        dunnett(t, np.zeros(1), df, sides)
