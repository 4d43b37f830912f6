"""A posterior as a file, and draws from it."""

import hashlib

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from stemtrial.calibration import prior
from stemtrial.calibration.mixture import NO_EFFECT
from stemtrial.calibration.posterior import model_fingerprint, read, write
from stemtrial.calibration.standard import heavy
from stemtrial.mechanism.parameters import registry

NAMES = (
    "f_ret",
    "k_M",
    "ctx_Emax",
    "tau_ctx",
    "tail_ctx",
    "k_B",
    "omega_k_B",
    "omega_cell",
    "mu_cell",
    "tau_arm",
)
ROWS = 40
STRUCTURES = tuple(("paracrine", "regenerative", "contextual", "paracrine")[i % 4] for i in range(ROWS))
ABOUT = {
    "indication": "knee_oa",
    "trials": 31,
    "model": model_fingerprint(),
    "seed": 7,
    "structure_weights": {"paracrine": 0.6, "regenerative": 0.3, "contextual": 0.1},
    "checks": {"coverage": [0.5, 0.8, 0.95]},
}


def table():
    """Values of which a row can be told by any of its columns; the spread between trials is the same in all."""
    i = np.arange(ROWS)
    columns = {
        "f_ret": 0.1 + 0.3 * i / ROWS, "k_M": 0.02 * 1.02**i, "ctx_Emax": 9.0 + 0 * i, "tau_ctx": 7.0 + 0 * i,
        "tail_ctx": 0.5 + 0 * i,
        "k_B": 0.06 + 0 * i, "omega_k_B": 0.8 + 0 * i, "omega_cell": 0.5 + 0 * i, "tau_arm": 5.0 + 0 * i,
        "mu_cell": np.where(np.array(STRUCTURES) == "contextual", NO_EFFECT, 0.3),
    }  # fmt: skip
    return np.stack([columns[n] for n in NAMES], axis=1)


COORDINATES = np.random.default_rng(1).standard_normal((ROWS, 12))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("posterior") / "knee.posterior"
    write(path, NAMES, table(), COORDINATES, STRUCTURES, ABOUT)
    return path


@pytest.fixture(scope="module")
def posterior(file):
    return read(file)


def test_round_trip(posterior, file):
    assert posterior.names == NAMES
    assert np.array_equal(posterior.values, table().astype(np.float32))
    assert np.array_equal(posterior.coordinates, COORDINATES.astype(np.float32))
    assert posterior.structures == STRUCTURES
    assert {name: posterior.about[name] for name in ABOUT} == ABOUT
    assert posterior.structure_weights == ABOUT["structure_weights"]
    assert posterior.indication == "knee_oa"
    assert posterior.fingerprint == hashlib.sha256(file.read_bytes()).hexdigest()
    assert posterior.label == f"calibrated on 31 trials ({posterior.fingerprint[:8]})"


def test_same_content_same_bytes_and_no_other_file(file, tmp_path):
    again = tmp_path / "again.posterior"
    write(again, NAMES, table(), COORDINATES, STRUCTURES, dict(reversed(ABOUT.items())))
    assert again.read_bytes() == file.read_bytes()
    assert list(tmp_path.iterdir()) == [again]


def test_other_content_other_fingerprint(posterior, tmp_path):
    other = tmp_path / "other.posterior"
    write(other, NAMES, table(), COORDINATES, STRUCTURES, {**ABOUT, "seed": 8})
    assert read(other).fingerprint != posterior.fingerprint


def test_a_replicate_alone_is_the_replicate_in_a_batch(posterior):
    batch = posterior.draw(3, np.arange(10, 30))
    alone = posterior.draw(3, np.array([17]))
    assert batch.keys() == alone.keys()
    assert all(alone[name][0] == batch[name][7] for name in alone)
    assert not np.array_equal(posterior.draw(4, np.arange(10, 30))["k_B"], batch["k_B"])


def test_draws_have_the_names_of_the_prior(posterior):
    assert posterior.draw(3, np.arange(2)).keys() == prior.draw(3, np.arange(2)).keys()
    assert posterior.typical(np.arange(2)).keys() == prior.typical(np.arange(2)).keys()


def test_constants_of_a_replicate_are_joint_and_rows_equally_likely(posterior):
    """Chi-squared test of the rows drawn, false-alarm rate 1e-6."""
    n = 8000
    drawn = posterior.draw(3, np.arange(n))
    row = np.argmin(np.abs(drawn["f_ret"][:, None] - table()[:, 0]), axis=1)
    assert drawn["k_M"] == pytest.approx(table()[row, 1], rel=1e-6)
    count = np.bincount(row, minlength=ROWS)
    statistic = ((count - n / ROWS) ** 2 / (n / ROWS)).sum()
    assert chi2.ppf(1e-6, ROWS - 1) / 2 < statistic < chi2.ppf(1 - 1e-6, ROWS - 1)


def test_constants_without_evidence_are_those_of_the_prior(posterior):
    drawn, before = posterior.draw(3, np.arange(50)), prior.draw(3, np.arange(50))
    for name in registry().keys() - set(NAMES):
        assert np.array_equal(drawn[name], before[name])


def test_trials_differ_as_the_posterior_says(posterior):
    """20,000 trials within five standard errors of every number: false-alarm rate below 1e-5 for all of them."""
    n = 20_000
    drawn = posterior.draw(5, np.arange(n))
    with_cells = drawn["cell_effect"] > 1e-6
    for values, mean, sd in (
        (np.log(drawn["k_B"]), np.log(0.06), 0.8),
        (np.log(drawn["cell_effect"][with_cells]), 0.3, 0.5),
    ):
        assert values.mean() == pytest.approx(mean, abs=5 * sd / len(values) ** 0.5)
        assert values.std() == pytest.approx(sd, abs=5 * sd / (2 * len(values)) ** 0.5)
    for z in (-2.0, -1.0, 0.0, 1.0, 2.0):
        share = (drawn["ctx_Emax"] <= 9.0 + 7.0 * heavy(z, 0.5)).mean()
        assert share == pytest.approx(ndtr(z), abs=5 * np.sqrt(ndtr(z) * ndtr(-z) / n))
    ranks = np.argsort(np.argsort(drawn["ctx_Emax"]))
    assert abs(np.corrcoef(ranks, np.log(drawn["k_B"]))[0, 1]) < -ndtri(5e-7) / n**0.5


def test_cells_of_the_contextual_structure_do_nothing(posterior):
    drawn = posterior.draw(5, np.arange(2000))
    row = np.argmin(np.abs(drawn["f_ret"][:, None] - table()[:, 0]), axis=1)
    contextual = np.array([STRUCTURES[i] == "contextual" for i in row])
    assert 300 < contextual.sum() < 700
    assert (drawn["cell_effect"][contextual] < 1e-15).all()
    assert (drawn["cell_effect"][~contextual] > 0.05).all()


def test_typical_is_the_mean_of_the_weightiest_structure(posterior):
    typical = posterior.typical(np.arange(3))
    own = np.array([s == "paracrine" for s in STRUCTURES])
    values = table().astype(np.float32).astype(float)[own]
    assert (registry()["f_ret"].scale, registry()["k_M"].scale) == ("linear", "log")
    assert typical["f_ret"] == pytest.approx(np.full(3, values[:, 0].mean()))
    assert typical["k_M"] == pytest.approx(np.full(3, np.exp(np.log(values[:, 1]).mean())))
    assert typical["cell_effect"] == pytest.approx(np.exp(0.3), rel=1e-6)
    assert typical["k_R"] == pytest.approx(prior.mean(registry()["k_R"]))
