r"""Dose-ranging by MCP-Mod: is there a dose response, of which shape, and which dose reaches a target.

Each candidate shape gives the contrast of the arms' means that is most powerful if the response has that shape. The
largest of the test statistics is compared with the quantile of their joint normal distribution, so that the level
holds for all shapes together (Bretz, Pinheiro & Branson 2005, *Biometrics* 61:738). The shapes that are shown are
fitted to the adjusted means by weighted least squares, their own parameters included, the one of least AIC is kept, and
the smallest dose that reaches the target is picked (Pinheiro et al. 2014, *Statistics in Medicine* 33:1646).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import gammainc, ndtri

from stemtrial.trial.armmeans import contrasts
from stemtrial.trial.conduct import ArmRecord
from stemtrial.trial.plan import Plan
from stemtrial.trial.protocol import Trial
from stemtrial.trial.roots import root
from stemtrial.trial.rules import Candidate

DIRECTIONS = 1 << 16
"""Directions over which the joint distribution of the statistics is integrated."""

ED50 = np.geomspace(0.01, 1.5, 40)
"""Half-effect doses tried in a fit, in units of the largest dose."""

HILL = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Steepnesses tried in a fit."""


def shape(candidate: Candidate, dose: np.ndarray) -> np.ndarray:
    """Response to doses in a shape, up to a location and a factor, same shape as `dose`.

    Examples
    --------
    >>> shape(Candidate(shape="emax", ed50=25.0), np.array([0.0, 25.0, 75.0])).tolist()
    [0.0, 0.5, 0.75]
    """
    match candidate.shape:
        case "linear":
            return np.asarray(dose, float)
        case "log_linear":
            return np.log(dose + candidate.offset)
        case "emax":
            return np.asarray(dose / (dose + candidate.ed50))
        case _:
            return _sigmoid(dose, candidate.ed50 or 1.0, candidate.hill or 1.0)


def _sigmoid(dose: np.ndarray, ed50: float, hill: float) -> np.ndarray:
    return np.asarray(dose**hill / (dose**hill + ed50**hill))


def optimal_contrast(response: np.ndarray, n: np.ndarray) -> np.ndarray:
    r"""Contrast of means with the largest noncentrality under a response, of unit length, (arms,).

    :math:`c_a \propto n_a (\mu_a - \bar\mu)` with the mean weighted by patients (Bretz et al. 2005).
    """
    raw = n * (response - (n * response).sum() / n.sum())
    return np.asarray(raw / np.linalg.norm(raw))


def equicoordinate(correlation: np.ndarray, level: float) -> float:
    r"""Value that the largest of correlated standard normal statistics exceeds with probability `level`.

    In polar coordinates, :math:`P(\max_m Z_m \le c) = E_u[F_{\chi}(c/\max_m (Lu)_m)]` over directions u, with
    :math:`LL^\top` the correlation: a smooth integral over few dimensions, taken over a lattice.

    Examples
    --------
    >>> round(equicoordinate(np.eye(1), 0.025), 3)
    1.96
    """
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-9
    loading = vectors[:, kept] * np.sqrt(values[kept])
    rank = int(kept.sum())
    # Additive recurrence with the roots of x^(rank+1) = x + 1 (Roberts 2018); a rank of 1 has two directions only.
    if rank == 1:
        directions = np.array([[1.0], [-1.0]])
    else:
        golden = float(root(lambda x: x ** (rank + 1) - x - 1, 1.0, 2.0))
        steps = golden ** -np.arange(1, rank + 1)
        points = ndtri((0.5 + np.arange(1, DIRECTIONS + 1)[:, None] * steps) % 1)
        directions = points / np.linalg.norm(points, axis=1, keepdims=True)
        directions = np.concatenate([directions, -directions])
    furthest = (directions @ loading.T).max(axis=1)
    outward = furthest[furthest > 0]
    inward = (furthest <= 0).mean()

    def excess(c: np.ndarray) -> np.ndarray:
        below = gammainc(rank / 2, (c.reshape(-1, 1) / outward) ** 2 / 2).sum(axis=1) / len(furthest) + inward
        return np.asarray(below.reshape(c.shape) - (1 - level))

    return float(root(excess, 0.0, 10.0))


@dataclass(frozen=True)
class Range:
    """A range of doses with the candidate shapes, before any data.

    Attributes
    ----------
    arms
        Names, by rising dose, the first without cells.
    doses
        Million cells in all.
    n
        Patients.
    candidates
        Shapes.
    level
        One-sided significance level for all shapes together.
    target
        Improvement worth a dose, points.
    """

    arms: tuple[str, ...]
    doses: tuple[float, ...]
    n: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    level: float
    target: float

    @staticmethod
    @lru_cache(maxsize=32)
    def of(trial: Trial) -> "Range":
        """Return the range of doses of a trial that asks for one."""
        asked = trial.question.dose_response
        assert asked is not None
        arms = tuple(sorted(asked.arms, key=trial.dose))
        doses, n = tuple(trial.dose(a) for a in arms), tuple(trial.arms[a].n for a in arms)
        return Range(arms, doses, n, asked.candidates, trial.question.level, asked.target)

    @cached_property
    def contrasts(self) -> np.ndarray:
        """Contrast of each candidate, positive weights on high doses, (candidates, arms)."""
        dose, n = np.array(self.doses), np.array(self.n, float)
        return np.stack([optimal_contrast(shape(c, dose), n) for c in self.candidates])

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlation of the test statistics, (candidates, candidates)."""
        covariance = (self.contrasts / np.array(self.n)) @ self.contrasts.T
        scale = np.sqrt(np.diag(covariance))
        return np.asarray(covariance / scale[:, None] / scale)

    @cached_property
    def critical(self) -> float:
        """Value that the largest statistic has to exceed."""
        return equicoordinate(self.correlation, self.level)

    def fitted(
        self, improvement: np.ndarray, variance: np.ndarray, allowed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fit every candidate shape to the adjusted improvements and keep the one of least AIC.

        Parameters
        ----------
        improvement
            Of each arm over an arbitrary origin, points, (replicates, arms).
        variance
            Of a patient about the adjusted mean, (replicates,).
        allowed
            Shapes among which to choose, (replicates, candidates).

        Returns
        -------
        best : numpy.ndarray
            Index of the shape, (replicates,); -1 where none is allowed.
        effect : numpy.ndarray
            Fitted improvement of each arm over the first, (replicates, arms).
        """
        weight = np.array(self.n, float)
        aic = np.full(allowed.shape, np.inf)
        effects = np.zeros((*allowed.shape, len(self.doses)))
        total = (weight * (improvement - (improvement @ weight / weight.sum())[:, None]) ** 2).sum(axis=1)
        for m, candidate in enumerate(self.candidates):
            forms = self._forms(candidate)
            centred = forms - (forms @ weight / weight.sum())[:, None]
            size = (weight * centred**2).sum(axis=1)
            slope = improvement @ (weight * centred).T / size
            nearest = (slope**2 * size).argmax(axis=1)
            chosen = np.take_along_axis(slope, nearest[:, None], axis=1)
            deviance = (total - chosen[:, 0] ** 2 * size[nearest]) / variance
            effects[:, m] = chosen * (forms[nearest] - forms[nearest, :1])
            free = {"linear": 2, "log_linear": 2, "emax": 3, "sigmoid": 4}[candidate.shape]
            aic[:, m] = np.where(allowed[:, m], deviance + 2 * free, np.inf)
        best = np.where(allowed.any(axis=1), aic.argmin(axis=1), -1)
        return best, np.take_along_axis(effects, np.maximum(best, 0)[:, None, None], axis=1)[:, 0]

    def _forms(self, candidate: Candidate) -> np.ndarray:
        """Responses of a shape over its own parameters, (forms, arms)."""
        dose = np.array(self.doses)
        match candidate.shape:
            case "emax":
                return np.stack([_sigmoid(dose, e * dose[-1], 1.0) for e in ED50])
            case "sigmoid":
                return np.stack([_sigmoid(dose, e * dose[-1], h) for e in ED50 for h in HILL])
            case _:
                return shape(candidate, dose)[None]


def mcp_mod(plan: Plan, arms: Sequence[ArmRecord]) -> dict[str, np.ndarray]:
    """Test for a dose response and pick a dose in every replicate.

    Parameters
    ----------
    plan
        A trial that asks for a dose response.
    arms
        What was seen, in the order of :attr:`Range.arms`.

    Returns
    -------
    dict
        ``z``, statistic of each candidate, (replicates, candidates); ``improvement`` of each arm over the first,
        points, (replicates, arms); ``shape``, index of the one kept, and ``picked``, index of the dose, (replicates,),
        both -1 where there is none.
    """
    given = Range.of(plan.trial)
    over_none = np.eye(len(arms))[1:] - np.eye(len(arms))[0]
    found = contrasts(plan, arms, np.concatenate([given.contrasts, over_none]))
    tests, differences = found[: len(given.candidates)], found[len(given.candidates) :]
    z = np.stack([t.z() for t in tests], axis=1)
    improvement = np.stack([np.zeros(len(z)), *(-d.estimate for d in differences)], axis=1)
    variance = tests[0].se ** 2 / (given.contrasts[0] ** 2 / np.array(given.n)).sum()
    possible = np.isfinite(z).all(axis=1)
    best, effect = given.fitted(
        np.where(possible[:, None], improvement, 0), np.where(possible, variance, 1), z > given.critical
    )
    reaches = effect >= given.target
    reaches[:, 0] = False
    picked = np.where((best >= 0) & reaches.any(axis=1), reaches.argmax(axis=1), -1)
    return {"z": z, "improvement": improvement, "shape": best, "picked": picked}
