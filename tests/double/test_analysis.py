"""ANCOVA against ordinary least squares solved independently."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.trial.analysis import ancova


def least_squares(y, x, group):
    """Estimate, SE, df and p of the group effect by the normal equations of the design matrix."""
    design = np.column_stack([np.ones_like(x), x, group])
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    df = len(y) - 3
    variance = ((y - design @ beta) ** 2).sum() / df * np.linalg.inv(design.T @ design)[2, 2]
    se = np.sqrt(variance)
    return beta[2], se, df, 2 * stats.t.sf(abs(beta[2] / se), df)


@pytest.mark.parametrize("n", [(4, 4), (30, 55), (120, 40)])
def test_ancova_equals_least_squares_on_the_patients_seen(n):
    rng = np.random.default_rng(7)
    baseline = tuple(rng.normal(60, 12, (25, k)) for k in n)
    outcome = tuple(0.4 * x + rng.normal(20 - 5 * i, 15, x.shape) for i, x in enumerate(baseline))
    seen = tuple(rng.random(x.shape) > 0.2 for x in baseline)
    found = ancova(outcome, baseline, seen)
    for r in range(25):
        y = np.concatenate([o[r][m[r]] for o, m in zip(outcome, seen, strict=True)])
        x = np.concatenate([b[r][m[r]] for b, m in zip(baseline, seen, strict=True)])
        group = np.repeat([0.0, 1.0], [seen[0][r].sum(), seen[1][r].sum()])
        if group.sum() in (0, len(group)) or len(y) < 4:
            assert np.isnan(found.estimate[r])
            continue
        expected = least_squares(y, x, group)
        got = found.estimate[r], found.se[r], found.df[r], found.p[r]
        assert np.allclose(got, expected, rtol=1e-8, atol=1e-10)


def test_an_analysis_that_is_not_possible_is_marked_and_is_no_success():
    y, x = np.ones((1, 5)), np.arange(5.0)[None]
    nobody = np.zeros((1, 5), bool)
    found = ancova((y, y), (x, x), (nobody, nobody | True))
    assert np.isnan(found.estimate[0])
    assert found.df[0] == 0
    assert not found.success(0.05, 2)[0]


def test_one_sided_success_is_two_sided_success_at_twice_the_level():
    rng = np.random.default_rng(3)
    y, x = (rng.normal(50, 10, (2, 4000, 20)) for _ in range(2))
    seen = np.ones((4000, 20), bool)
    found = ancova((y[0], y[1]), (x[0], x[1]), (seen, seen))
    assert (found.success(0.05, 1) == found.success(0.10, 2)).all()
    assert found.success(0.05, 2).sum() < found.success(0.05, 1).sum()
