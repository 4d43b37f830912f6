"""A fit from log density to prediction, on four small trials; one compiled density and one sampler serve all tests.

Chains are seeded: a test that passes once passes always. The false-alarm rates are those of a new seed.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_t, norm, t

from stemtrial.calibration.arms import Reading, TrialArm
from stemtrial.calibration.comparators import PooledEffect
from stemtrial.calibration.fit import Fit, Settings
from stemtrial.calibration.fitmodel import FREEDOM, SHARED_ERROR, FitModel
from stemtrial.calibration.observed import Asked
from stemtrial.calibration.prediction import predict
from stemtrial.calibration.sampling import BLOCK, Sampler, Shape
from stemtrial.calibration.trialwise import places, trialwise
from stemtrial.calibration.verification import same_draws
from stemtrial.errors import NumericalError
from stemtrial.mechanism.schedule import schedule
from stemtrial.mechanism.treatments import Cells, Nsaid, Saline

pytestmark = pytest.mark.slow

WARMUP, DRAWS = 100, 200


def cells(dose):
    return Cells(
        source="bone_marrow",
        origin="autologous",
        product="culture_expanded",
        dose_million=dose,
        at_months=(0,),
    )


def reading(month, kind, value, *, se=None, n=None, statistic="mean", threshold=None, instrument="VAS"):
    return Reading(
        month=month, instrument=instrument, kind=kind, statistic=statistic, value=value, se=se, n=n,
        threshold=threshold, reference_id="made",
    )  # fmt: skip


def arm(trial, name, treatments, *readings, intervention="saline", **more):
    given = {"n": 30, "baseline_mean": 58.0, "baseline_sd": 14.0, "randomised": True, "blinding": "double",
             "risk_of_bias": "low", **more}  # fmt: skip
    return TrialArm(
        trial_id=trial, arm_id=name, indication="knee_oa", intervention=intervention,
        schedule=schedule(treatments), readings=readings, **given,
    )  # fmt: skip


SALINE = [Saline(at_months=(0,))]
ARMS = (
    arm("plain", "saline", SALINE, reading(1, "change", -10, se=3.0), reading(3, "change", -14, se=3.5)),
    arm("plain", "nsaid", [Nsaid(from_month=0)], reading(1, "change", -19, se=3.0), intervention="oral_nsaid"),
    arm("cells", "saline", SALINE, reading(3, "change", -12), reading(6, "level", 47), n=25),
    arm("cells", "cells", [cells(40)], reading(3, "change", -22), reading(6, "level", 33, instrument="WOMAC_pain"),
        reading(6, "responders", 0.6, threshold=20.0), n=25, dose_million=40.0, intervention="cell_therapy"),
    arm("open", "cells", [cells(1)], reading(6, "level", 30, se=4.0), baseline_mean=None, dose_million=None,
        product="concentrate", blinding="open", risk_of_bias="high", intervention="cell_therapy"),
    arm("median", "saline", SALINE, reading(3, "change", -15, statistic="median"), n=20),
)  # fmt: skip
EFFECT = PooledEffect(
    treatment="oral_nsaid", comparator="ia_saline", month=2.0, value=-6.0, se=1.5, n_trials=9, reference_id="made",
    schedule=schedule([Nsaid(from_month=0)]), comparator_schedule=schedule(SALINE),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model():
    return FitModel(ARMS)


@pytest.fixture(scope="module")
def sampler(model):
    return Sampler(model, WARMUP)


@pytest.fixture(scope="module")
def density(sampler, model):
    """Log posterior density and its gradient by coordinates and weights."""
    y = jnp.asarray(model.data)
    return lambda z, w: sampler._density(jnp.asarray(z), jnp.asarray(w, float), y)


@pytest.fixture(scope="module")
def everywhere(model):
    """Moments and log likelihoods at coordinates, with a pooled effect beside the arms."""
    rich = replace(model, pooled=(EFFECT,))
    return jax.jit(lambda z: (rich.moments(rich.parts(z)), *rich.log_likelihood(z), rich.log_density(z)))


def test_coordinates_are_of_constants_trials_and_unprinted_numbers(model):
    sizes = model.sizes
    assert model.trials == ("plain", "cells", "open", "median")
    assert (sizes["context"], sizes["onset"], sizes["cells"]) == (4, 4, 2)
    assert (sizes["baseline"], sizes["dose"]) == (1, 1)
    assert model.printed.tolist() == [58.0, 58.0, 58.0]
    assert model.data.tolist() == [*model.rows.y, *model.printed]
    # Trials of which a mean has neither a standard error of its own.
    assert model.open_spread.tolist() == [1, 3]
    own = np.concatenate(places(model))
    assert sorted(own) == list(range(sizes["constants"] + sizes["learned"], model.dimension))


@pytest.mark.parametrize("seed", [1, 2])
def test_gradient_is_that_of_differences(model, density, seed):
    """Every coordinate, fourth order; mean pain of a few patients has kinks only where they leave the scale."""
    z = 0.6 * np.random.default_rng(seed).standard_normal(model.dimension)
    ones = np.ones(len(ARMS))
    gradient = np.asarray(density(z, ones)[1])
    step = 2e-3
    for i in range(model.dimension):
        e = step * (np.arange(model.dimension) == i)
        value = [float(density(z + k * e, ones)[0]) for k in (-2, -1, 1, 2)]
        expected = (8 * (value[2] - value[1]) - (value[3] - value[0])) / (12 * step)
        assert gradient[i] == pytest.approx(expected, rel=1e-5, abs=1e-6), i


def test_care_that_openly_goes_on_beside_cells_is_not_new():
    """An NSAID by mouth in an open trial of cells moves nothing but the bias; half counts where blinding is unclear."""
    asked = reading(3, "change", 0.0, se=3.0)
    arms = []
    for blinding in ("double", "unclear", "open"):
        arms.append(
            arm(blinding, "a", [Nsaid(from_month=0)], asked, intervention="oral_nsaid", blinding=blinding)
        )
        arms.append(
            arm(
                blinding,
                "b",
                [cells(40)],
                asked,
                intervention="cell_therapy",
                dose_million=40.0,
                blinding=blinding,
            )
        )
    made = FitModel((*arms, replace(arms[4], trial_id="alone")))
    z = made.parts(0.4 * np.random.default_rng(8).standard_normal((50, made.dimension)))
    z["context"][:], z["onset"][:] = z["context"][:, :1], z["onset"][:, :1]
    masked, unclear, known, alone = made.moments(z)["mean"][:, [0, 2, 4, 6]].T
    bias = made.constants(z)["bias_control"]
    assert masked.max() < -2
    assert np.allclose(known, bias)
    assert np.allclose(unclear, (masked + bias) / 2)
    assert np.allclose(alone, masked + bias)


def test_errors_of_an_arm_are_multivariate_t(model, density, everywhere):
    """Against SciPy's densities, their scale being such that the variances are those of the parts added."""
    z = 0.5 * np.random.default_rng(5).standard_normal(model.dimension)
    m, by_arm, of_rest, log_density = (jax.tree.map(np.asarray, part) for part in everywhere(jnp.asarray(z)))
    rows, shrink = model.rows, (FREEDOM - 2) / FREEDOM
    for a in range(len(ARMS)):
        own = np.flatnonzero(rows.arm == a)
        gain, se = m["gain"][own], m["se"][own]
        variance = np.diag(m["tau_visit"] ** 2 + (1 - SHARED_ERROR) * se**2)
        variance = variance + m["arm_sd"][a] ** 2 + SHARED_ERROR * (se**2).mean()
        shape = shrink * variance * np.outer(gain, gain)
        expected = multivariate_t.logpdf(rows.y[own], m["mean"][own], shape, df=FREEDOM)
        assert by_arm[a] == pytest.approx(expected, rel=1e-10)
    scale = np.sqrt(shrink * (EFFECT.se**2 + m["tau_pooled"] ** 2))
    printed = norm.logpdf(model.printed, m["baseline_mean"], m["baseline_sd"])
    pooled = t.logpdf(EFFECT.value, FREEDOM, m["pooled"], scale)
    assert of_rest == pytest.approx(np.concatenate([printed, pooled]), rel=1e-10)
    assert log_density == pytest.approx(by_arm.sum() + of_rest.sum() - 0.5 * (z**2).sum(), rel=1e-12)
    assert float(density(z, np.ones(len(ARMS)))[0]) == pytest.approx(
        by_arm.sum() + printed.sum() - 0.5 * (z**2).sum(), rel=1e-10
    )


def test_many_draws_with_numpy_are_each_with_jax(model, everywhere):
    """Predictions take the same functions with NumPy, many draws side by side."""
    rich = replace(model, pooled=(EFFECT,))
    z = 0.7 * np.random.default_rng(6).standard_normal((3, model.dimension))
    moments, (by_arm, of_rest) = rich.moments_of(z), rich.log_likelihood(z)
    for k, one in enumerate(z):
        m, a, p, _ = jax.tree.map(np.asarray, everywhere(jnp.asarray(one)))
        assert moments.keys() == m.keys()
        for name in m:
            assert moments[name][k] == pytest.approx(m[name], rel=1e-9, abs=1e-9), name
        assert by_arm[k] == pytest.approx(a, rel=1e-9)
        assert of_rest[k] == pytest.approx(p, rel=1e-9)
        assert rich.log_likelihoods(z)[k] == pytest.approx(a, rel=1e-9)


def test_a_trial_held_out_leaves_its_own_coordinates_to_the_prior(model, density):
    """The gradient is that of the standard normal density exactly, and only there."""
    z = 0.5 * np.random.default_rng(7).standard_normal(model.dimension)
    for trial, own in enumerate(places(model)):
        weights = (model.trial_of != trial).astype(float)
        gradient = np.asarray(density(z, weights)[1])
        assert gradient[own] == pytest.approx(-z[own], abs=1e-14)
        others = np.setdiff1d(np.concatenate(places(model)), own)
        assert (gradient[others] != -z[others]).all()


@pytest.fixture(scope="module")
def without_data(sampler, model):
    """A chain without any arm, from a shape that is not quite the prior's."""
    rng = np.random.default_rng(3)
    n = model.dimension
    shape = Shape(0.3 * rng.standard_normal(n), np.eye(n) + 0.05 * rng.standard_normal((n, n)) / n**0.5)
    return shape, sampler.chain(4, DRAWS, shape, weights=np.zeros(len(ARMS)))


def test_without_data_the_chain_is_the_prior(without_data, model):
    """Bands of five standard errors at an effective sample size of half the draws: false alarms below 1e-5 for all."""
    names = model.standard.names
    of_baselines = [names.index(name) for name in ("baseline_mean", "baseline_sd")]
    assert without_data[1].draws.shape == (DRAWS, model.dimension)
    z, n = np.delete(without_data[1].draws, of_baselines, axis=1), model.dimension - 2
    assert not without_data[1].divergent.any()
    size = DRAWS / 2
    assert z.mean() == pytest.approx(0, abs=5 / np.sqrt(n * size))
    assert (z**2).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / (n * size)))
    assert np.abs(z.mean(axis=0)).max() < 5.5 / np.sqrt(size)
    for level, p in ((1.0, 0.3173), (2.0, 0.0455)):
        assert (np.abs(z) > level).mean() == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / (n * size)))
    told = without_data[1].draws[:, of_baselines].T
    density = without_data[1].log_density + 0.5 * (z**2).sum(axis=1)
    assert density == pytest.approx(of_baselines_alone(model, *told), abs=1e-9)
    # Printed baselines are data still; their posterior follows from a grid.
    grid = np.linspace(-6, 6, 481)
    at = np.meshgrid(grid, grid, indexing="ij")
    weight = np.exp(of_baselines_alone(model, *at))
    for own, on_grid in zip(told, at, strict=True):
        mean = (on_grid * weight).sum() / weight.sum()
        sd = np.sqrt(((on_grid - mean) ** 2 * weight).sum() / weight.sum())
        assert own.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(size))


def of_baselines_alone(model, z_mean, z_sd):
    """Log density of the mean and the SD of baselines over trials and of those that were printed."""
    mean, sd = (q for q in model.standard.learned if q.name in ("baseline_mean", "baseline_sd"))
    center, spread = mean.median + mean.sd * z_mean, sd.median * np.exp(sd.sd * z_sd)
    printed = sum(norm.logpdf(value, center, spread) for value in model.printed)
    return printed - 0.5 * (z_mean**2 + z_sd**2)


def test_an_interrupted_chain_goes_on_as_if_nothing_had_been(without_data, sampler, tmp_path):
    shape, whole = without_data
    file = tmp_path / "chain-0.npz"
    given = {"weights": np.zeros(len(ARMS)), "file": file}

    def stop(done):
        if done == WARMUP + 3 * BLOCK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler.chain(4, DRAWS, shape, progress=stop, **given)
    with np.load(file) as saved:
        assert int(saved["done"]) == WARMUP + 3 * BLOCK
    seen = []
    resumed = sampler.chain(4, DRAWS, shape, progress=seen.append, **given)
    assert seen[0] == WARMUP + 4 * BLOCK
    for field in ("draws", "log_density", "divergent", "leaps"):
        assert np.array_equal(getattr(resumed, field), getattr(whole, field)), field
    # A finished chain is read, not run.
    again = sampler.chain(4, DRAWS, shape, progress=lambda done: pytest.fail("ran"), **given)
    assert np.array_equal(again.draws, whole.draws)
    # More draws go on from those that are there.
    longer = sampler.chain(4, DRAWS + BLOCK, shape, progress=seen.append, **given)
    assert seen[-1] == WARMUP + DRAWS + BLOCK
    assert longer.draws.shape == (DRAWS + BLOCK, whole.draws.shape[1])
    assert np.array_equal(longer.draws[:DRAWS], whole.draws)


def test_one_seed_gives_the_same_draws(without_data, sampler):
    assert same_draws(sampler, without_data[0], 3).verdict == "met"


@pytest.fixture(scope="module")
def fitted(sampler, model):
    shape = sampler.shape()
    return shape, Fit(model, Settings(1, WARMUP, DRAWS, 4), (sampler.chain(4, DRAWS, shape),), 1.0)


def test_mode_is_a_mode(fitted, density):
    value, gradient = density(fitted[0].mode, np.ones(len(ARMS)))
    assert np.abs(np.asarray(gradient)).max() < 0.05
    chain = fitted[1].chains[0]
    here = np.array([float(density(z, np.ones(len(ARMS)))[0]) for z in chain.draws[::50]])
    assert here.max() < float(value)
    # The chain's log density is that of its draws, up to a constant.
    assert np.ptp(here - chain.log_density[::50]) < 1e-8


def test_likelihood_of_a_trial_has_its_effects_integrated_out(fitted, model, everywhere):
    """Against a product rule over the effects of the trial without unprinted numbers, its context and its onset.

    With 400 proposals the standard error of a log likelihood is below 0.1; four of it are allowed for each of eight
    draws (false-alarm rate 5e-4), and for their mean (6e-5).
    """
    parts = trialwise(fitted[1], 2, draws=8, proposals=400)
    trial = model.trials.index("plain")
    own = places(model)[trial]
    assert len(own) == 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    log_weight = np.log(np.outer(weights, weights) / (2 * np.pi)).ravel()
    flat = fitted[1].draws.reshape(-1, model.dimension)
    expected = []
    for row in parts.rows:
        z = np.repeat(flat[[row]], len(grid), axis=0)
        z[:, own] = grid
        by_arm = np.array([np.asarray(everywhere(one)[1]) for one in z])
        expected.append(logsumexp(by_arm[:, model.trial_of == trial].sum(axis=1) + log_weight))
    error = parts.log_likelihood[:, trial] - expected
    assert np.abs(error).max() < 0.4
    assert abs(error.mean()) < 0.4 / np.sqrt(len(error))


def test_predictions_have_the_moments_of_the_likelihood(model):
    """20,000 draws of what is not shared, at the middle of what is; five standard errors, false alarms below 1e-5."""
    n = 20_000
    shared = model.sizes["constants"] + model.sizes["learned"]
    many = 10**8
    untreated = {"intervention": "usual_care"}
    arms = [
        replace(arm("one", "a", [], n=many, **untreated), readings=()),
        arm("one", "b", [], n=20, **untreated),
        arm("two", "a", SALINE, n=many),
        arm("two", "b", SALINE, n=many),
    ]
    asked = [Asked(0, 6.0, "change"), Asked(2, 3.0, "change"), Asked(0, 1.0, "change"), Asked(3, 3.0, "change"),
             Asked(1, 3.0, "change"), Asked(1, 12.0, "change")]  # fmt: skip
    found = predict(np.zeros((n, shared)), arms, asked, 9)
    assert (found.baseline == 58).all()
    assert np.array_equal(found.follow_up, found.baseline + found.change)
    arm_sd, visit_sd = 5.0, 2.0  # medians of their priors
    kurtosis = 3 + 6 / (FREEDOM - 4)

    def same(values, variance):
        assert values.mean() == pytest.approx(0, abs=5 * np.sqrt(variance / n))
        sd = np.sqrt(variance)
        assert values.std() == pytest.approx(sd, abs=5 * sd * np.sqrt((kurtosis + 1) / (4 * n)))

    large = arm_sd**2 + visit_sd**2
    # Sampling variance of 20 patients; the SD between patients varies between trials by 20 %.
    error = 22.0**2 / 20 * np.exp(0.5 * 0.4**2)
    same(found.change[:, 0], large)
    same(found.change[:, 2], large)
    same(found.change[:, 4], large + error)
    correlation = np.corrcoef(found.change.T)
    bound = 5 * np.sqrt(kurtosis / n)
    assert correlation[0, 2] == pytest.approx(arm_sd**2 / large, abs=bound)
    shared_part = arm_sd**2 + SHARED_ERROR * error
    assert correlation[4, 5] == pytest.approx(shared_part / (large + error), abs=bound)
    assert correlation[0, 4] == pytest.approx(0, abs=bound)
    # Both arms of a trial have the context and the onset of their trial: what differs are their own deviations.
    same(found.change[:, 1] - found.change[:, 3], 2 * large)
    assert found.change[:, 1].std() > np.sqrt(large + 20)


def test_numbers_that_are_not_finite_name_the_place(sampler, model):
    y = model.data.copy()
    y[0] = np.nan
    with pytest.raises(NumericalError, match=r"not finite at \[0\.0"):
        sampler.shape(data=y)
