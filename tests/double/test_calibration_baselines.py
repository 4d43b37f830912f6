"""The normal model behind the baselines against SciPy's densities, and its posterior against another sampler."""

import numpy as np
import pytest
from scipy import stats

from models.made_arms import made_trials
from stemtrial.calibration import baselines, mixed
from stemtrial.evidence.sampling import Sampler, metropolis


@pytest.fixture(scope="module")
def fitted():
    return baselines.fit_time_course(made_trials(8, 3, levels=0.3), 1)


def dense(model, z):
    """Log marginal likelihood with all trials in one covariance matrix, written out row by row."""
    s = {name: float(x[0]) for name, x in model.scales(z[None]).items()}
    rows = [(k, i) for k, block in enumerate(model.blocks) for i in range(len(block.y))]
    total, x, y = np.zeros((len(rows), len(rows))), [], []
    sd = np.where(model.prior_sd > 0, model.prior_sd, s["spread"])
    for a, (k, i) in enumerate(rows):
        one = model.blocks[k]
        f = one.month[i] / (one.month[i] + s["et50"])
        x.append(one.x[i] * f)
        y.append(one.y[i])
        for b, (m, j) in enumerate(rows):
            if k != m:
                continue
            gap = abs(np.log2((1 + one.month[i]) / (1 + one.month[j])))
            fj = one.month[j] / (one.month[j] + s["et50"])
            same = one.arm[i] == one.arm[j]
            total[a, b] = f * fj * s["phi"] ** gap * (s["tau"] ** 2 + s["omega"] ** 2 * same)
            total[a, b] += same * one.se[i] * one.se[j] * s["rho"] ** gap
            total[a, b] += model.baseline_sd**2 * (one.level[i] and one.level[j])
    x = np.array(x)
    return stats.multivariate_normal.logpdf(y, np.zeros(len(y)), total + (x * sd**2) @ x.T)


def test_marginal_likelihood(fitted):
    model = fitted.posterior.model
    assert any(block.level.any() for block in model.blocks)
    z = fitted.posterior.pool[:6]
    ours = model.log_density(z) - model.log_prior(z)
    theirs = np.array([dense(model, point) for point in z])
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=1e-8)


def test_coefficients_given_the_scales(fitted):
    """Their mean and covariance by Bayes' rule for all rows at once; 40 000 draws, within 5 standard errors."""
    model = fitted.posterior.model
    z = fitted.posterior.pool[:1]
    draws = model.coefficients(z, np.zeros(40_000, dtype=int), np.random.default_rng(2))
    s = model.scales(z)
    sd = np.where(model.prior_sd > 0, model.prior_sd, s["spread"][0])
    precision, pull = np.diag(sd**-2), np.zeros(len(sd))
    for block in model.blocks:
        inverse = np.linalg.inv(mixed.covariance(block, s, True, model.baseline_sd)[0])
        x = block.x * mixed.share(block.month, s, True)[0][:, None]
        precision, pull = precision + x.T @ inverse @ x, pull + x.T @ inverse @ block.y
    spread = np.linalg.inv(precision)
    se = np.sqrt(np.diag(spread) / len(draws))
    assert (np.abs(draws.mean(axis=0) - spread @ pull) < 5 * se).all()
    np.testing.assert_allclose(np.cov(draws.T), spread, atol=0.03 * np.diag(spread).max())


def test_scales_by_importance_sampling_and_by_metropolis(fitted):
    """Means of the scales agree within 5 of their joint standard errors (adaptive Metropolis, 4 chains)."""
    posterior = fitted.posterior
    model = posterior.model
    assert posterior.k < 0.7
    assert posterior.ess > 400
    sampler = Sampler(seed=5, chains=4, warmup=800, draws=300, thin=5)
    chains, _ = metropolis(lambda z: float(model.log_density(z[None])[0]), len(model.names), 0, sampler)
    theirs, ours = chains.reshape(-1, len(model.names)), posterior.weights @ posterior.pool
    spread = np.sqrt(posterior.weights @ (posterior.pool - ours) ** 2)
    halves = chains.mean(axis=1).std(axis=0, ddof=1) / 2
    tolerance = 5 * np.sqrt(halves**2 + spread**2 / posterior.ess)
    assert (np.abs(theirs.mean(axis=0) - ours) < tolerance).all()
    np.testing.assert_allclose(theirs.std(axis=0), spread, rtol=0.25)
