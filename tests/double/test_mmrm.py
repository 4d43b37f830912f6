"""Repeated measures against R nlme, analysis of covariance, and a dense REML written out from its definition.

``fixtures/nlme/make_fixtures.R`` made the data sets and their gls fits; versions are inside the file. Run this file
as a script to print the largest differences.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.trial.analysis import ancova
from stemtrial.trial.mmrm import fit, mmrm
from stemtrial.trial.mmrm_scoring import scored

FITS = json.loads((Path(__file__).parent / "fixtures" / "nlme" / "mmrm.json").read_text())["rows"]
ARM = np.array([0.0, 0.0, 1.0])


def data(row: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Readings, design and what was seen, as one replicate."""
    y, x, arm = (np.array(row[k], dtype=float) for k in ("y", "base", "arm"))
    design = np.stack([np.ones_like(x), x - x.mean(), arm], axis=1)
    return np.nan_to_num(y)[None], design[None], np.isfinite(y)[None]


def monotone(row: dict) -> bool:
    seen = np.isfinite(np.array(row["y"], dtype=float))
    return not np.any(seen[:, 1:] & ~seen[:, :-1])


STAYED = [r for r in FITS if monotone(r)]


def name(row: dict) -> str:
    return f"{len(row['y'])}x{len(row['y'][0])}"


def scoring(row: dict, method: str):
    """Scoring from a start far away."""
    y, design, seen = data(row)
    return scored(y, design, seen, ARM, method, 50 * np.eye(y.shape[2])[None])


def differences(row: dict) -> dict[str, float]:
    """Largest differences from gls, relative to the standard errors or variances."""
    se, covariance = np.array(row["se"]), np.array(row["covariance"])
    found = {}
    if monotone(row):
        fitted = fit(*data(row))
        c = fitted.contrast(ARM, "satterthwaite")
        scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        found["covariance"] = float(np.max(np.abs(fitted.covariance[0] - covariance) / scale))
    else:
        c = scoring(row, "satterthwaite")
    found["estimate / SE"] = float(np.max(np.abs(c.estimate[0] - row["estimate"]) / se))
    found["SE"] = float(np.max(np.abs(c.se[0] / se - 1)))
    return found


@pytest.mark.parametrize("row", FITS, ids=name)
def test_gls(row) -> None:
    assert {k: v for k, v in differences(row).items() if v > 1e-5} == {}


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("row", STAYED, ids=name)
def test_scoring_ends_at_the_closed_form(row, method) -> None:
    closed, iterated = fit(*data(row)).contrast(ARM, method), scoring(row, method)
    for value in ("estimate", "se", "df", "p"):
        assert getattr(iterated, value) == pytest.approx(getattr(closed, value), rel=1e-8, abs=1e-9)


class Dense:
    """The model with all readings in one vector, its covariance linear in the elements of Sigma."""

    def __init__(self, row: dict) -> None:
        y, design, seen = (a[0] for a in data(row))
        self.visits = y.shape[1]
        self.pairs = [(a, b) for a in range(self.visits) for b in range(a + 1)]
        patient, visit = np.nonzero(seen)
        self.y, self.visit = y[seen], visit
        self.same = patient[:, None] == patient
        self.x = np.zeros((len(self.y), 3 * self.visits))
        for column in range(3):
            self.x[np.arange(len(visit)), 3 * visit + column] = design[patient, column]

    def element(self, a: int, b: int) -> np.ndarray:
        unit = np.zeros((self.visits, self.visits))
        unit[a, b] = unit[b, a] = 1
        return unit[np.ix_(self.visit, self.visit)] * self.same

    def parts(self, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inverse = np.linalg.inv(sigma[np.ix_(self.visit, self.visit)] * self.same)
        phi = np.linalg.inv(self.x.T @ inverse @ self.x)
        return inverse, phi, phi @ self.x.T @ inverse @ self.y

    def derivatives(self, sigma: np.ndarray) -> tuple[np.ndarray, ...]:
        """Score, observed and expected information of the restricted likelihood, P and Q of Kenward & Roger."""
        inverse, phi, _ = self.parts(sigma)
        project = inverse - inverse @ self.x @ phi @ self.x.T @ inverse
        moved = [project @ self.element(*p) for p in self.pairs]
        z = project @ self.y
        score = np.array(
            [-np.trace(m) / 2 + z @ self.element(*p) @ z / 2 for m, p in zip(moved, self.pairs, strict=True)]
        )
        expected = np.array([[np.sum(m * n.T) / 2 for n in moved] for m in moved])
        quadratic = np.array([[self.y @ m @ n @ z for n in moved] for m in moved])
        half = [inverse @ self.element(*p) @ inverse for p in self.pairs]
        p = np.array([-self.x.T @ h @ self.x for h in half])
        covariance = sigma[np.ix_(self.visit, self.visit)] * self.same
        q = np.array([[self.x.T @ h @ covariance @ k @ self.x for k in half] for h in half])
        return score, quadratic - expected, expected, p, q

    def tests(self, sigma: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Standard error and degrees of freedom of the arm at each visit, by either method."""
        _, phi, _ = self.parts(sigma)
        _, observed, expected, p, q = self.derivatives(sigma)
        w = np.linalg.inv(expected)
        inner = sum(w[i, j] * (q[i, j] - p[i] @ phi @ p[j]) for i in range(len(w)) for j in range(len(w)))
        adjusted = phi + 2 * phi @ inner @ phi
        at = 3 * np.arange(self.visits) + 2
        slope = -np.array([phi @ m @ phi for m in p])[:, at, at]
        variance = phi[at, at]

        def df(information: np.ndarray) -> np.ndarray:
            return 2 * variance**2 / np.einsum("iv,ij,jv->v", slope, np.linalg.inv(information), slope)

        return {
            "satterthwaite": (np.sqrt(variance), df(observed)),
            "kenward_roger": (np.sqrt(adjusted[at, at]), df(expected)),
        }


@pytest.mark.parametrize(
    "row", [FITS[i] for i in (0, 1, 4, 5)], ids=lambda r: f"{len(r['y'])}x{len(r['y'][0])}"
)
def test_dense_model(row) -> None:
    """The estimate is the root of the restricted score; standard errors and df follow from their definitions."""
    found, dense = fit(*data(row)), Dense(row)
    sigma = found.covariance[0]
    score, observed, *_ = dense.derivatives(sigma)
    assert np.abs(np.linalg.solve(observed, score)).max() < 1e-9 * np.abs(sigma).max()
    assert found.coefficients[0].ravel() == pytest.approx(dense.parts(sigma)[2], rel=1e-9, abs=1e-9)
    for method, (se, df) in dense.tests(sigma).items():
        c = found.contrast(ARM, method)
        assert c.se[0] == pytest.approx(se, rel=1e-9), method
        assert c.df[0] == pytest.approx(df, rel=1e-8), method


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("row", [r for r in FITS if not monotone(r)], ids=name)
def test_dense_model_with_gaps(row, method) -> None:
    """At gls's covariance, good to about 1e-6."""
    se, df = Dense(row).tests(np.array(row["covariance"]))[method]
    found = scoring(row, method)
    assert found.se[0] == pytest.approx(se, rel=1e-5)
    assert found.df[0] == pytest.approx(df, rel=1e-4)


def draw(replicates: int, patients: tuple[int, int], visits: int, leave: float, seed: int = 5):
    rng = np.random.default_rng(seed)
    arms = []
    for n in patients:
        x = rng.normal(60, 10, (replicates, n))
        y = 20 + 0.5 * x + rng.normal(0, 7, (replicates, n)) + rng.normal(0, 6, (visits, replicates, n))
        gone = rng.random((visits, replicates, n)) < leave * 2 / (
            1 + np.exp(-(np.roll(y, 1, axis=0) - 50) / 8)
        )
        gone[0] = False
        arms.append((y, x, ~np.maximum.accumulate(gone, axis=0)))
    return tuple(zip(*arms, strict=True))


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
def test_complete_data_are_an_analysis_of_covariance_of_each_visit(method) -> None:
    y, x, seen = draw(20, (14, 25), 4, 0.0)
    found = mmrm(y, x, seen, method)
    for v in range(4):
        expected = ancova((y[0][v], y[1][v]), x, (seen[0][v], seen[1][v]))
        for name in ("estimate", "se", "df", "p"):
            assert getattr(found, name)[:, v] == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12)


def test_first_visit_knows_nothing_of_what_comes_later() -> None:
    y, x, seen = draw(5, (30, 30), 3, 0.2)
    found, alone = (
        mmrm(tuple(a[:k] for a in y), x, tuple(a[:k] for a in seen), "kenward_roger") for k in (3, 2)
    )
    assert found.se[:, :2] == pytest.approx(alone.se, rel=1e-12)


def test_replicates_do_not_touch_each_other() -> None:
    y, x, seen = draw(7, (20, 30), 4, 0.15)
    whole = mmrm(y, x, seen, "kenward_roger")
    for r in range(7):
        one = mmrm(
            tuple(a[:, r : r + 1] for a in y), tuple(a[r : r + 1] for a in x), tuple(a[:, r : r + 1] for a in seen),
            "kenward_roger",
        )  # fmt: skip
        assert one.p[0] == pytest.approx(whole.p[r], rel=1e-9)


def test_what_cannot_be_fitted_is_counted_and_spares_the_rest() -> None:
    y, x, seen = draw(4, (12, 12), 3, 0.0)
    seen = tuple(a.copy() for a in seen)
    seen[0][2, 1] = False  # nobody of the comparator at the last visit
    seen[1][1:, 2, 2:] = False  # two patients of the experimental arm from the second visit on
    seen[0][1:, 2, 2:] = False
    x[1][3] = x[0][3] = 50.0  # a baseline that does not vary
    found = mmrm(y, x, seen, "kenward_roger")
    expected = np.array(
        [[True, True, True], [True, True, False], [True, False, False], [False, False, False]]
    )
    assert np.array_equal(found.df > 0, expected)
    for values in (found.estimate, found.se, found.p):
        assert np.array_equal(np.isfinite(values), expected)
    clean = mmrm(*(tuple(b[..., :1, :] for b in a) for a in (y, x, seen)), "kenward_roger")
    assert clean.estimate[0] == pytest.approx(found.estimate[0], rel=1e-9)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
def test_replicates_with_and_without_gaps_go_together(method) -> None:
    y, x, seen = draw(6, (25, 30), 3, 0.1)
    seen = tuple(a.copy() for a in seen)
    seen[0][1, 2, :4] = False
    seen[1][0, 4, 3:9] = False
    seen[0][1:, 5, 2:] = seen[1][1:, 5, 2:] = False
    seen[0][2, 5, 2] = True  # a gap in a replicate that cannot be fitted
    found = mmrm(y, x, seen, method)
    assert np.array_equal(found.df[:, -1] > 0, [True] * 5 + [False])
    assert np.isnan(found.p[5]).all()
    for r in range(5):
        readings = np.concatenate([a[:, r] for a in y], axis=1).T
        known = np.concatenate([a[:, r] for a in seen], axis=1).T
        base, arm = np.concatenate([a[r] for a in x]), np.repeat([0.0, 1.0], [25, 30])
        design = np.stack([np.ones(55), base - base.mean(), arm], axis=1)
        one = scored(readings[None], design[None], known[None], ARM, method, 80 * np.eye(3)[None])
        assert one.se[0] == pytest.approx(found.se[r], rel=1e-7)
        assert one.p[0] == pytest.approx(found.p[r], rel=1e-6)


def test_closed_form_refuses_returning_patients() -> None:
    with pytest.raises(InputError, match="missed visit"):
        fit(*data(next(r for r in FITS if not monotone(r))))


def test_type_one_error_and_bias_under_missing_at_random() -> None:
    """10,000 small trials that lose two in five, without effect; false-alarm rate of the two checks 1.3e-4."""
    y, x, seen = draw(10_000, (20, 20), 3, 0.25)
    found = mmrm(y, x, seen, "kenward_roger")
    last = found.estimate[:, -1]
    assert 0.5 < seen[0][-1].mean() < 0.7
    assert np.isfinite(last).mean() > 0.995
    last, p = last[np.isfinite(last)], found.p[np.isfinite(last), -1]
    assert abs(last.mean()) < 4 * last.std() / np.sqrt(last.size)
    assert abs((p < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / p.size)


if __name__ == "__main__":
    for row in FITS:
        shares = np.isfinite(np.array(row["y"], dtype=float)).mean(axis=0).round(2)
        print(
            f"{len(row['y']):4d} patients, seen {shares}",
            {k: f"{v:.1e}" for k, v in differences(row).items()},
        )
