"""Pareto smoothing, leave-one-out and stacking against ArviZ."""

import warnings

import numpy as np
import pytest

from stemtrial.calibration import psis


@pytest.fixture(scope="module")
def arviz():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz
    return arviz


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("efficiency", [0.4, 1.0])
def test_weights_and_k(arviz, scale, efficiency):
    ratios = scale * np.random.default_rng(8).standard_t(5, size=(2000, 4))
    expected, k = arviz.psislw(ratios.T.copy(), efficiency)
    found = psis.psis(ratios, efficiency)
    np.testing.assert_allclose(found.log_weights, np.asarray(expected).T, atol=1e-10)
    np.testing.assert_allclose(found.k, k, atol=1e-10)


@pytest.fixture(scope="module")
def schools(arviz):
    """Normal means with known error, three models: pooled, separate, and partly pooled, as log likelihoods."""
    rng = np.random.default_rng(21)
    y, draws = rng.normal(2.0, 1.5, 30), 2000
    models = {}
    for name, share in {"pooled": 0.0, "separate": 1.0, "partly": 0.6}.items():
        centre = (1 - share) * y.mean() + share * y
        spread = np.sqrt((1 - share) ** 2 / 30 + 0.5 * share**2)
        theta = centre + spread * rng.standard_normal((draws, 30))
        models[name] = -0.5 * (y - theta) ** 2 - 0.5 * np.log(2 * np.pi)
    return models


def data_of(arviz, log_likelihood):
    return arviz.from_dict(
        posterior={"x": np.random.default_rng(1).normal(size=(1, len(log_likelihood)))},
        log_likelihood={"y": log_likelihood[None]},
    )


def test_leave_one_out(arviz, schools):
    for log_likelihood in schools.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = arviz.loo(data_of(arviz, log_likelihood), pointwise=True, reff=1.0)
        found = psis.leave_one_out(log_likelihood)
        assert found.total == pytest.approx(expected.elpd_loo, abs=1e-8)
        assert found.se == pytest.approx(expected.se, abs=1e-8)
        assert found.p_loo == pytest.approx(expected.p_loo, abs=1e-8)
        np.testing.assert_allclose(found.k, expected.pareto_k, atol=1e-8)


def test_stacking_is_no_worse_than_arviz(arviz, schools):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = arviz.compare({n: data_of(arviz, x) for n, x in schools.items()}, method="stacking")
    elpd = {name: psis.leave_one_out(x).elpd for name, x in schools.items()}
    found = psis.stacking(elpd)
    density = np.exp(np.column_stack(list(elpd.values())))

    def score(weights):
        return np.log(density @ np.array([weights[name] for name in elpd])).mean()

    theirs = table["weight"].to_dict()
    assert score(found) >= score(theirs) - 1e-9
    assert found == pytest.approx(theirs, abs=0.02)
