"""Convergence diagnostics against ArviZ, an independent implementation of the same paper."""

import warnings

import numpy as np
import pytest

from stemtrial.calibration.diagnostics import converge

with warnings.catch_warnings():
    # ArviZ announces its next version on import.
    warnings.simplefilter("ignore")
    arviz = pytest.importorskip("arviz")


def autoregressive(rho, chains=4, draws=400, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((chains, draws))
    for t in range(1, draws):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


CHAINS = {
    "independent": autoregressive(0.0),
    "sticky": autoregressive(0.9),
    "antithetic": autoregressive(-0.4),
    "alternating": autoregressive(-0.97),
    "alternating, few": autoregressive(-0.9, chains=2, draws=24),
    "odd length, two chains": autoregressive(0.5, chains=2, draws=301),
    "one chain elsewhere": autoregressive(0.3) + np.array([[0.0], [0.0], [0.0], [1.5]]),
    "one chain wider": autoregressive(0.3) * np.array([[1.0], [1.0], [1.0], [3.0]]),
    "trend": autoregressive(0.3) + np.linspace(0, 2, 400),
    "heavy tails": np.random.default_rng(2).standard_cauchy((4, 400)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_r_hat_and_effective_sizes(name):
    x = CHAINS[name]
    found = converge(x[:, :, None])
    assert found.r_hat[0] == pytest.approx(float(arviz.rhat(x, method="rank")), rel=1e-9)
    for ours, method in ((found.bulk, "bulk"), (found.tail, "tail")):
        # The two truncate the sum of autocorrelations by rules that differ in the last pair.
        assert ours[0] == pytest.approx(float(arviz.ess(x, method=method)), rel=0.15), method


def test_quantities_are_diagnosed_one_by_one():
    names = ["independent", "sticky", "trend"]
    together = converge(np.stack([CHAINS[n] for n in names], axis=2))
    for i, name in enumerate(names):
        alone = converge(CHAINS[name][:, :, None])
        for field in ("r_hat", "bulk", "tail"):
            assert getattr(together, field)[i] == pytest.approx(getattr(alone, field)[0], rel=1e-12)


def test_monotone_transformations_change_nothing_of_ranks():
    x = CHAINS["sticky"][:, :, None]
    assert converge(np.exp(x)).bulk == pytest.approx(converge(x).bulk, rel=1e-12)


def test_a_quantity_that_never_moves_counts_every_draw():
    with np.errstate(invalid="ignore"):
        found = converge(np.ones((4, 100, 1)))
    assert found.bulk[0] == found.tail[0] == 400
