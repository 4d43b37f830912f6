"""A normal model of the rows of many trials with few scales: linear part exact, scales by importance sampling.

For the rows ``y`` of one trial, ``f`` being the share of the response reached at a row's month::

    y ~ N(f X b + level m,  S + f f' (tau2 + omega2 A) phi ** G + s2 level level')

* ``X b``: means of arms; ``tau``: SD of the trial's effect, shared by its arms; ``omega``: SD of the arm's own.
* ``A``: 1 within an arm; ``G``: doublings of ``1 + month`` between two rows.
* ``S``: sampling errors, ``se se' A rho ** G``.
* ``m, s``: mean and SD over trials of the baseline, which rows that are levels carry and arms of a trial share.

``b`` given the scales is normal and integrated out. The five or six scales are drawn from a Student t distribution
fitted to their posterior and weighted by Pareto-smoothed importance sampling, whose k is checked: no Markov chain, so
a refit takes a second or two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from stemtrial.calibration.psis import psis, threshold
from stemtrial.errors import NotCredibleError

Scales = Mapping[str, np.ndarray]

_CHUNK = 250
_POOL = 2000
_DEGREES = 5.0


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one trial: values, design, standard errors, months, places of arms, and which are levels.

    Shapes (r,) and (r, p).
    """

    y: np.ndarray
    x: np.ndarray
    se: np.ndarray
    month: np.ndarray
    arm: np.ndarray
    level: np.ndarray


@dataclass(frozen=True)
class Priors:
    """Scales of half-normal priors in points, beta parameters of correlations, and log-normal of ET50 in months."""

    tau: float = 10.0
    omega: float = 10.0
    spread: float = 10.0
    rho: tuple[float, float] = (6.0, 4.0)
    phi: tuple[float, float] = (6.0, 2.0)
    et50: tuple[float, float] = (1.0, 1.0)


WEAK = Priors()
"""Weakly informative; ET50 within a week and seven months with 95 %."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """The model with its data.

    Attributes
    ----------
    blocks
        One a trial.
    prior_sd
        (p,), prior SD of each coefficient; 0 where it is the scale ``spread``, to be learned.
    timed
        Whether ``f = t / (t + et50)``; otherwise 1.
    baseline_sd
        SD over trials of an unknown baseline; its mean has been taken from ``y``.
    """

    blocks: tuple[Block, ...]
    prior_sd: np.ndarray
    timed: bool
    baseline_sd: float
    priors: Priors = WEAK
    _stacks: tuple[Block, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sizes: dict[int, list[Block]] = {}
        for block in self.blocks:
            sizes.setdefault(len(block.y), []).append(block)
        object.__setattr__(self, "_stacks", tuple(_stack(same) for same in sizes.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """Scales in the order of the coordinates."""
        return ("tau", "omega", "spread", "rho", "phi") + (("et50",) if self.timed else ())

    def scales(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Scales, (draws,) each, from free coordinates (draws, names)."""
        shares = ("rho", "phi")
        return {
            name: expit(x) if name in shares else np.exp(x) for name, x in zip(self.names, z.T, strict=True)
        }

    def log_prior(self, z: np.ndarray) -> np.ndarray:
        """Log prior density of free coordinates, up to a constant, (draws,)."""
        scales, total = self.scales(z), np.zeros(len(z))
        for name, x in zip(self.names, z.T, strict=True):
            belief = getattr(self.priors, name)
            if name in ("rho", "phi"):
                total += belief[0] * np.log(scales[name]) + belief[1] * np.log1p(-scales[name])
            elif name == "et50":
                total += -0.5 * ((x - np.log(belief[0])) / belief[1]) ** 2
            else:
                total += -0.5 * (scales[name] / belief) ** 2 + x
        return total

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Log posterior density of free coordinates (draws, names), coefficients integrated out, (draws,)."""
        parts = [self._conditional(z[i : i + _CHUNK])[0] for i in range(0, len(z), _CHUNK)]
        result: np.ndarray = np.concatenate(parts) + self.log_prior(z)
        return result

    def coefficients(self, z: np.ndarray, of: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw coefficients given the scales ``z[of]``, (draws, p); each row of z is factorised once."""
        noise = rng.standard_normal((len(of), self.prior_sd.size))
        drawn = np.empty_like(noise)
        for i in range(0, len(z), _CHUNK):
            _, mean, root = self._conditional(z[i : i + _CHUNK])
            mine = (of >= i) & (of < i + _CHUNK)
            at = of[mine] - i
            apart = np.linalg.solve(root.swapaxes(1, 2)[at], noise[mine][..., None])[..., 0]
            drawn[mine] = mean[at] + apart
        return drawn

    def _conditional(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log marginal likelihood (K,), mean (K, p) and root of the precision (K, p, p) of the coefficients."""
        scales = self.scales(z)
        prior_sd = np.where(self.prior_sd > 0, self.prior_sd, scales["spread"][:, None])
        count = self.prior_sd.size
        precision = np.eye(count) / prior_sd[:, None, :] ** 2
        pull, log_p = np.zeros((len(z), count)), -np.log(prior_sd).sum(axis=1)
        for stack in self._stacks:
            root = np.linalg.cholesky(covariance(stack, scales, self.timed, self.baseline_sd))
            shape = share(stack.month, scales, self.timed)
            x = stack.x * shape[..., None]
            y = np.broadcast_to(stack.y, x.shape[:-1])[..., None]
            white = np.linalg.solve(root, np.concatenate([x, y], axis=-1))
            white = white.reshape(len(z), -1, count + 1)
            wx, wy = white[..., :-1], white[..., -1]
            precision = precision + wx.swapaxes(1, 2) @ wx
            pull = pull + (wy[:, None, :] @ wx)[:, 0]
            diagonal = np.diagonal(root, axis1=-2, axis2=-1)
            log_p = log_p - np.log(diagonal).sum(axis=(1, 2)) - 0.5 * (wy * wy).sum(axis=1)
        top = np.linalg.cholesky(precision)
        half = np.linalg.solve(top, pull[..., None])
        log_p = log_p - np.log(np.diagonal(top, axis1=1, axis2=2)).sum(axis=1) + 0.5 * (half**2).sum((1, 2))
        mean = np.linalg.solve(top.swapaxes(1, 2), half)[..., 0]
        return log_p, mean, top


def _stack(blocks: Sequence[Block]) -> Block:
    names = ("y", "x", "se", "month", "arm", "level")
    return Block(*(np.stack([getattr(block, name) for block in blocks]) for name in names))


def share(month: np.ndarray, scales: Scales, timed: bool) -> np.ndarray:
    """Share of the full response at months (..., r) for each draw, (draws, ..., r)."""
    if not timed:
        return np.ones((len(scales["tau"]), *month.shape))
    et50 = scales["et50"].reshape(-1, *[1] * month.ndim)
    result: np.ndarray = month / (month + et50)
    return result


def covariance(block: Block, scales: Scales, timed: bool, baseline_sd: float) -> np.ndarray:
    """Covariance of rows given the coefficients, (draws, ..., r, r) for rows (..., r)."""

    def wide(name: str) -> np.ndarray:
        return scales[name].reshape(-1, *[1] * (block.month.ndim + 1))

    g = np.log2(1 + block.month)
    gap = np.abs(g[..., :, None] - g[..., None, :])
    arm = (block.arm[..., :, None] == block.arm[..., None, :]).astype(float)
    outer = block.se[..., :, None] * block.se[..., None, :] * arm
    f = share(block.month, scales, timed)
    between = (wide("tau") ** 2 + wide("omega") ** 2 * arm) * np.exp(gap * np.log(wide("phi")))
    total = outer * np.exp(gap * np.log(wide("rho"))) + f[..., :, None] * f[..., None, :] * between
    level = block.level.astype(float)
    result: np.ndarray = total + baseline_sd**2 * level[..., :, None] * level[..., None, :]
    return result


@dataclass(frozen=True, eq=False)
class Posterior:
    """Equally likely draws: free coordinates of the scales (draws, names) with k and effective size of their weights.

    ``model`` draws the coefficients that belong to them.
    """

    model: Mixed
    pool: np.ndarray
    weights: np.ndarray
    k: float
    ess: float

    def draw(self, draws: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Draw scales, (draws,) each, and coefficients, (draws, p), jointly."""
        # systematic resampling: each point of the pool as often as its weight asks, up to one
        marks = (np.arange(draws) + rng.uniform()) / draws
        chosen = np.minimum(np.searchsorted(np.cumsum(self.weights), marks), len(self.pool) - 1)
        used, of = np.unique(rng.permutation(chosen), return_inverse=True)
        z = self.pool[used]
        return self.model.scales(z[of]), self.model.coefficients(z, of, rng)

    def mean(self) -> dict[str, float]:
        """Posterior mean of each scale."""
        return {name: float(self.weights @ x) for name, x in self.model.scales(self.pool).items()}


def sample(model: Mixed, seed: int) -> Posterior:
    """Fit a model.

    Raises
    ------
    NotCredibleError
        The weights of the draws are too uneven to be trusted.
    """
    rng = np.random.default_rng(seed)
    centre, spread = _mode(model)
    best: Posterior | None = None
    for _ in range(4):
        root = np.linalg.cholesky(spread)
        dimension = len(centre)
        noise = rng.standard_normal((_POOL, dimension))
        noise = noise * np.sqrt(_DEGREES / rng.chisquare(_DEGREES, _POOL))[:, None]
        z = centre + noise @ root.T
        proposal = -0.5 * (_DEGREES + dimension) * np.log1p((noise**2).sum(axis=1) / _DEGREES)
        smoothed = psis(model.log_density(z) - proposal)
        weights, k, ess = np.exp(smoothed.log_weights[:, 0]), float(smoothed.k[0]), float(smoothed.ess[0])
        found = Posterior(model, z, weights, k, ess)
        best = found if best is None or (k, -ess) < (best.k, -best.ess) else best
        if k <= 0.5 and ess >= 0.25 * _POOL:
            return found
        # the next proposal has the moments of this posterior
        centre = weights @ z
        apart = z - centre
        spread = (weights[:, None] * apart).T @ apart + 1e-4 * np.eye(dimension)
    assert best is not None
    if best.k > threshold(_POOL) or best.ess < 100:
        raise NotCredibleError(
            f"the statistical model could not be sampled: Pareto k {best.k:.2f}, {best.ess:.0f} effective draws; "
            "check the rows for impossible values, or fit more trials"
        )
    return best


def _mode(model: Mixed) -> tuple[np.ndarray, np.ndarray]:
    """Find the mode of the scales' posterior and the inverse of its curvature."""
    from scipy.optimize import minimize

    start = {"tau": 6.0, "omega": 3.0, "spread": 6.0, "rho": 0.6, "phi": 0.8, "et50": 1.0}
    first = np.array(
        [np.log(start[n] / (1 - start[n])) if n in ("rho", "phi") else np.log(start[n]) for n in model.names]
    )
    steps = 1e-4 * np.eye(len(first))

    def both(z: np.ndarray) -> tuple[float, np.ndarray]:
        values = -model.log_density(np.concatenate([z[None], z + steps, z - steps]))
        half = len(first)
        return float(values[0]), (values[1 : half + 1] - values[half + 1 :]) / 2e-4

    mode = np.asarray(minimize(both, first, jac=True, method="BFGS", options={"gtol": 1e-3}).x)
    wide = 1e-2 * np.eye(len(first))
    curvature = np.array([(both(mode + step)[1] - both(mode - step)[1]) / 2e-2 for step in wide])
    values, axes = np.linalg.eigh((curvature + curvature.T) / 2)
    # a flat or uneven direction is held to a standard deviation of 1.5 on the log scale
    return mode, (axes / np.maximum(values, 1 / 1.5**2)) @ axes.T
