"""The prior of the constants. Seeds are fixed; with a fresh one an assertion would fail with probability 1e-6."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibration import prior
from stemtrial.mechanism.parameters import registry

ALARM = 1e-6
N = 4000
UNCERTAIN = [p for p in registry().values() if p.level == "uncertain"]


@pytest.fixture(scope="module")
def drawn():
    return prior.draw(12, np.arange(N))


def _pert(p):
    """Beta distribution of a constant on the scale of its range, in SciPy's terms."""
    low, mode, high = (np.log([*p.range, p.value]) if p.scale == "log" else np.array([*p.range, p.value]))[
        [0, 2, 1]
    ]
    a, b = 1 + 4 * (mode - low) / (high - low), 1 + 4 * (high - mode) / (high - low)
    return stats.beta(a, b, loc=low, scale=high - low)


@pytest.mark.parametrize("p", UNCERTAIN, ids=lambda p: p.symbol)
def test_uncertain_constants_follow_their_distribution(p, drawn):
    x = np.log(drawn[p.symbol]) if p.scale == "log" else drawn[p.symbol]
    assert p.range[0] <= drawn[p.symbol].min()
    assert drawn[p.symbol].max() <= p.range[1]
    assert stats.kstest(x, _pert(p).cdf).pvalue > ALARM / len(UNCERTAIN)


@pytest.mark.parametrize("symbol", ["f_ret", "k_M", "s_c", "phi_A", "eta"])
def test_quantiles_are_those_of_scipy(symbol):
    p = registry()[symbol]
    u = np.array([1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-4])
    expected = _pert(p).ppf(u)
    computed = np.log(prior.quantile(p, u)) if p.scale == "log" else prior.quantile(p, u)
    width = _pert(p).ppf(0.84) - _pert(p).ppf(0.16)
    assert computed == pytest.approx(expected, abs=1e-4 * width)


def test_means_are_those_of_the_distribution():
    for p in UNCERTAIN:
        expected = _pert(p).mean()
        assert (np.log(prior.mean(p)) if p.scale == "log" else prior.mean(p)) == pytest.approx(
            expected, rel=1e-12
        )


def test_trials_differ_as_declared(drawn):
    """Contextual response N(9.46, 7.12), its speed and the effect of cells lognormal."""
    v = registry()
    emax = (drawn["ctx_Emax"] - v["ctx_Emax"].value) / v["tau_ctx"].value
    speed = np.log(drawn["k_B"] / v["k_B"].value) / v["omega_k_B"].value
    cells = np.log(drawn["cell_effect"]) / drawn["omega_cell"]
    for z in (emax, speed, cells):
        assert stats.kstest(z, "norm").pvalue > ALARM


def test_constants_are_drawn_independently(drawn):
    z = np.array([stats.norm.ppf((stats.rankdata(drawn[p.symbol]) - 0.5) / N) for p in UNCERTAIN])
    r = np.corrcoef(z)[np.triu_indices(len(UNCERTAIN), 1)]
    assert np.abs(r).max() < stats.norm.isf(ALARM / 2 / len(r)) / np.sqrt(N)


def test_a_replicate_has_its_constants_in_any_company(drawn):
    some = prior.draw(12, np.array([3999, 17]))
    for symbol, values in some.items():
        assert values.tobytes() == drawn[symbol][[3999, 17]].tobytes()


def test_typical_constants_have_no_trial_of_their_own():
    typical = prior.typical(np.arange(2))
    assert (typical["cell_effect"] == 1).all()
    assert (typical["ctx_Emax"] == registry()["ctx_Emax"].value).all()
    assert (typical["k_B"] == registry()["k_B"].value).all()
