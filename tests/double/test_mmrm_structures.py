"""Structured repeated measures against R nlme, and against a dense model written out from its definition.

``fixtures/nlme/make_structures.R`` made the gls fits with compound symmetry.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.mmrm_scoring import basis
from stemtrial.trial.mmrm_structures import structured
from stemtrial.trial.plan import Plan
from stemtrial.trial.replicates import simulate

FOLDER = Path(__file__).parent / "fixtures" / "nlme"
SETS = json.loads((FOLDER / "mmrm.json").read_text())["rows"]
FITS = json.loads((FOLDER / "structures.json").read_text())["rows"]
ARM = np.array([0.0, 0.0, 1.0])


def data(row):
    """Readings, design and what was seen, as one replicate."""
    y, x, arm = (np.array(row[k], dtype=float) for k in ("y", "base", "arm"))
    design = np.stack([np.ones_like(x), x - x.mean(), arm], axis=1)
    return np.nan_to_num(y)[None], design[None], np.isfinite(y)[None]


@pytest.mark.parametrize("place", range(len(FITS)))
def test_compound_symmetry_agrees_with_gls(place):
    y, design, seen = data(SETS[place])
    expected = FITS[place]
    found = structured(y, design, seen, ARM, "satterthwaite", "compound_symmetry")
    se = np.array(expected["se"])
    assert np.max(np.abs(found.estimate[0] - expected["estimate"]) / se) < 1e-5
    assert np.max(np.abs(found.se[0] / se - 1)) < 1e-5


def dense(row, structure):
    """Root of the restricted score by plain Fisher scoring on one long vector; tests by their definitions."""
    y, design, seen = (a[0] for a in data(row))
    patient, visit = np.nonzero(seen)
    visits, z = y.shape[1], y[seen]
    same = patient[:, None] == patient
    x = np.zeros((len(z), 3 * visits))
    for column in range(3):
        x[np.arange(len(z)), 3 * visit + column] = design[patient, column]
    parts = [m[np.ix_(visit, visit)] * same for m in basis(structure, visits)]
    theta = np.zeros(len(parts))
    theta[0] = z.var()
    for _ in range(100):
        v = sum(t * part for t, part in zip(theta, parts, strict=True))
        inverse = np.linalg.inv(v)
        phi = np.linalg.inv(x.T @ inverse @ x)
        project = inverse - inverse @ x @ phi @ x.T @ inverse
        moved = [project @ part for part in parts]
        w = project @ z
        score = np.array([w @ part @ w - np.trace(m) for m, part in zip(moved, parts, strict=True)]) / 2
        information = np.array([[np.sum(m * n.T) / 2 for n in moved] for m in moved])
        step = np.linalg.solve(information, score)
        theta = theta + step
        if np.abs(step).max() < 1e-10 * theta[0]:
            break
    half = [inverse @ part @ inverse for part in parts]
    p = np.array([-x.T @ h @ x for h in half])
    q = np.array([[x.T @ h @ v @ k @ x for k in half] for h in half])
    c = np.linalg.inv(information)
    inner = sum(c[i, j] * (q[i, j] - p[i] @ phi @ p[j]) for i in range(len(parts)) for j in range(len(parts)))
    adjusted = phi + 2 * phi @ inner @ phi
    at = 3 * np.arange(visits) + 2
    slope = -np.array([phi @ m @ phi for m in p])[:, at, at]
    df = 2 * phi[at, at] ** 2 / np.einsum("iv,ij,jv->v", slope, c, slope)
    return (phi @ x.T @ inverse @ z)[at], np.sqrt(adjusted[at, at]), df


@pytest.mark.parametrize("structure", ["compound_symmetry", "toeplitz"])
@pytest.mark.parametrize("place", [0, 6])
def test_kenward_roger_by_its_definition(place, structure):
    estimate, se, df = dense(SETS[place], structure)
    found = structured(*data(SETS[place]), ARM, "kenward_roger", structure)
    assert found.estimate[0] == pytest.approx(estimate, rel=1e-7)
    assert found.se[0] == pytest.approx(se, rel=1e-7)
    assert found.df[0] == pytest.approx(df, rel=1e-6)


def test_two_visits_have_one_covariance_and_unstructured_is_every_element():
    assert np.array_equal(basis("toeplitz", 2), basis("compound_symmetry", 2))
    assert len(basis("unstructured", 4)) == 10
    assert basis("unstructured", 4).sum(axis=0).tolist() == np.ones((4, 4)).tolist()
    assert basis("toeplitz", 4).sum(axis=0).tolist() == np.ones((4, 4)).tolist()


def test_too_few_patients_are_a_counted_failure_in_their_replicate_only():
    rng = np.random.default_rng(4)
    y, x = rng.normal(50, 10, (2, 3, 6, 12)), rng.normal(60, 9, (2, 6, 12))
    seen = np.ones((2, 3, 6, 12), bool)
    seen[:, 2, 4] = False
    found = mmrm(tuple(y), tuple(x), tuple(seen), "kenward_roger", structure="compound_symmetry")
    assert np.isnan(found.estimate[4]).all()
    assert (found.df[4] == 0).all()
    others = np.delete(np.arange(6), 4)
    alone = mmrm(
        tuple(y[:, :, others]), tuple(x[:, others]), tuple(seen[:, :, others]), "kenward_roger",
        structure="compound_symmetry",
    )  # fmt: skip
    assert found.estimate[others] == pytest.approx(alone.estimate, rel=1e-9)


def test_a_trial_takes_the_structure_of_its_file(small):
    plans = []
    for covariance in (None, "compound_symmetry"):
        question = small.trial.model_dump(mode="json")
        question["question"] |= {"analysis": "mmrm", "covariance": covariance}
        plans.append(Plan.of(type(small.trial).model_validate(question)))
    free, tied = (simulate(plan, 3, np.arange(6))["estimate"] for plan in plans)
    assert np.isfinite(tied).all()
    assert 0 < np.abs(free - tied).max() < 5
    assert plans[0].trial.hash != plans[1].trial.hash
