"""The Bayesian model under network and time-course synthesis: comparisons of trials, jointly normal.

For the comparisons ``y`` of one trial (arm minus reference arm, at one or several visits)::

    y ~ N(X b,  E + tau2 H + kappa2 w w')

* ``b``: effects of treatments (at knots of time), a slope on log10 dose, a mean bias of unblinded comparisons.
* ``E``: sampling errors. Two visits ``s``, ``t`` of one arm correlate as ``rho ** |g(s) - g(t)|`` with
  ``g(t) = log2(1 + t)``; comparisons share the error of their reference arm.
* ``H``: true effects of trials differ; 1/2 between two arms (Lu and Ades 2004, doi:10.1002/sim.1875), times
  ``phi ** |g(s) - g(t)|`` between visits.
* ``w``: 1 for an unblinded comparison of an experimental with a control arm, -1 turned round, else 0; bias has
  mean and spread over trials (Welton et al. 2009, doi:10.1111/j.1467-985X.2008.00548.x).

``b`` given the rest is normal, so it is integrated out: the sampler moves over at most five scales and correlations,
and ``b`` is then drawn exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from stemtrial.evidence.heterogeneity import Floats
from stemtrial.evidence.networkdata import Comparison
from stemtrial.evidence.sampling import Convergence, Sampler, checked_convergence, metropolis


@dataclass(frozen=True)
class Priors:
    """Priors in points of 0-100, and of correlations.

    Attributes
    ----------
    effect
        SD of the normal prior of an effect against the reference (at the first knot).
    heterogeneity
        Scale of the half-normal prior of tau, the between-trial SD.
    drift
        Scale of the half-normal prior of the SD by which an effect moves per doubling of ``1 + month``.
    bias, bias_spread
        SD of the normal prior of the mean bias of unblinded comparisons; scale of the half-normal prior of its
        SD over trials.
    dose
        SD of the normal prior of the slope per tenfold dose.
    rho, phi
        Beta parameters of the correlation of sampling errors, and of a trial's true effects, between visits
        that lie one doubling of ``1 + month`` apart.
    """

    effect: float
    heterogeneity: float
    drift: float
    bias: float
    bias_spread: float
    dose: float
    rho: tuple[float, float]
    phi: tuple[float, float]


WEAK = Priors(
    effect=20.0,
    heterogeneity=10.0,
    drift=5.0,
    bias=10.0,
    bias_spread=5.0,
    dose=10.0,
    rho=(6.0, 4.0),
    phi=(6.0, 2.0),
)
"""Weakly informative: effects within ±40, between-trial SD up to about 20, drift up to about 10 a doubling."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Comparisons as arrays, with m rows and p columns of effects.

    Attributes
    ----------
    y, x
        Differences (m,) and design (m, p).
    own, shared
        Products of the standard errors of two comparisons' arms where the arm is one (m, m), and of their
        reference arms where the trial is one (m, m).
    pattern
        1 for two visits of one arm, 1/2 for two arms of one trial, 0 for two trials (m, m).
    gap
        Doublings of ``1 + month`` between two comparisons (m, m).
    bias
        ``w w'`` within trials (m, m).
    fixed, step
        Prior SD of each column; where that is 0 the column is an increment over ``step`` doublings.
    """

    y: Floats
    x: Floats
    own: Floats
    shared: Floats
    pattern: Floats
    gap: Floats
    bias: Floats
    columns: tuple[str, ...]
    fixed: Floats
    step: Floats
    timed: bool
    biased: bool


def basis(months: Floats, knots: Floats) -> Floats:
    """Return weights (times, knots) of the increments of a course that is linear in log2(1 + month) from 0.

    Column 0 is the height at the first knot, column j the move from knot j-1 to knot j; beyond the last knot
    the course stays where it is.

    Examples
    --------
    >>> basis(np.array([0.0, 1.0, 3.0]), np.array([1.0, 7.0]))
    array([[0. , 0. ],
           [1. , 0. ],
           [1. , 0.5]])
    """
    g, at = np.log2(1 + months), np.log2(1 + np.concatenate([[0.0], knots]))
    share = (g[:, None] - at[None, :-1]) / np.diff(at)[None, :]
    return np.asarray(np.clip(share, 0.0, 1.0), dtype=float)


def lay_out(
    comparisons: Sequence[Comparison],
    treatments: Sequence[str],
    knots: Floats | None,
    priors: Priors,
    *,
    dose_node: str | None,
) -> Layout:
    """Bring comparisons into arrays; without knots the effects are constant in time.

    ``dose_node`` is the beginning of the names of the nodes that share one slope on log10 dose.
    """
    rows = sorted(comparisons, key=lambda row: (row.trial_id, row.arm, row.month))
    months = np.array([row.month for row in rows])
    shape = np.ones((len(rows), 1)) if knots is None else basis(months, knots)
    steps = np.zeros(1) if knots is None else np.concatenate([[0.0], np.diff(np.log2(1 + knots))])
    blocks = [
        np.array([(row.treatment == name) - (row.reference == name) for row in rows])[:, None] * shape
        for name in treatments[1:]
    ]
    columns = [f"{name}[{j}]" for name in treatments[1:] for j in range(shape.shape[1])]
    step = np.tile(steps, len(treatments) - 1)
    extra = []
    bias = np.array([float(row.role * row.unblinded) for row in rows])
    if bias.any():
        extra.append(("bias", bias, priors.bias))
    if dose_node is not None:
        dosed = [any(name.startswith(dose_node) for name in (row.treatment, row.reference)) for row in rows]
        extra.append(("dose", np.array([row.log_dose for row in rows]) * dosed, priors.dose))

    def same(name: str) -> Floats:
        values = np.array([getattr(row, name) for row in rows])
        return np.asarray(values[:, None] == values[None, :], dtype=float)

    trial = same("trial_id")
    arm = trial * same("arm")
    own, shared = (np.array([getattr(row, name) for row in rows]) for name in ("own_se", "reference_se"))
    g = np.log2(1 + months)
    return Layout(
        y=np.array([row.y for row in rows]),
        x=np.column_stack([*blocks, *(column for _, column, _ in extra)]),
        own=arm * np.outer(own, own),
        shared=trial * np.outer(shared, shared),
        pattern=0.5 * trial + 0.5 * arm,
        gap=np.abs(g[:, None] - g[None, :]),
        bias=trial * np.outer(bias, bias),
        columns=(*columns, *(name for name, _, _ in extra)),
        fixed=np.concatenate([np.where(step > 0, 0.0, priors.effect), [scale for *_, scale in extra]]),
        step=np.concatenate([step, np.zeros(len(extra))]),
        timed=knots is not None,
        biased=bool(bias.any()),
    )


def _parts(layout: Layout, scales: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Return the covariance of y given b (m, m) and the prior SD of b (p,)."""
    error, spread, prior_sd = layout.own + layout.shared, layout.pattern, layout.fixed
    if layout.timed:
        error = error * np.exp(layout.gap * np.log(scales["rho"]))
        spread = spread * np.exp(layout.gap * np.log(scales["phi"]))
        prior_sd = prior_sd + scales["drift"] * np.sqrt(layout.step)
    total = error + scales["tau"] ** 2 * spread
    if layout.biased:
        total = total + scales["kappa"] ** 2 * layout.bias
    return total, prior_sd


def log_likelihood(layout: Layout, scales: Mapping[str, float]) -> float:
    """Return the log density of y given the scales, b integrated out, without its constant."""
    total, prior_sd = _parts(layout, scales)
    wide = layout.x * prior_sd
    root = np.linalg.cholesky(total + wide @ wide.T)
    white = solve_triangular(root, layout.y, lower=True, check_finite=False)
    return float(-np.log(np.diag(root)).sum() - 0.5 * white @ white)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Joint draws: ``b`` (draws, columns) and the scales by name, each (draws,), with their diagnostics."""

    columns: tuple[str, ...]
    b: Floats
    scales: dict[str, Floats]
    convergence: Convergence


def sample(layout: Layout, priors: Priors, sampler: Sampler) -> Posterior:
    """Draw from the posterior.

    Raises
    ------
    NotCredibleError
        The chains did not converge.
    """
    # half-normal scales in units of their prior, not as logs: no long tail towards log 0
    halves = {"tau": priors.heterogeneity}
    if layout.timed:
        halves["drift"] = priors.drift
    if layout.biased:
        halves["kappa"] = priors.bias_spread
    shares = {"rho": priors.rho, "phi": priors.phi} if layout.timed else {}

    def scales_of(z: Floats) -> dict[str, Any]:
        columns = np.moveaxis(z, -1, 0)
        scales = {name: x * halves[name] for name, x in zip(halves, columns, strict=False)}
        return scales | dict(zip(shares, expit(columns[len(halves) :]), strict=True))

    def log_density(z: Floats) -> float:
        scales = scales_of(z)
        prior = -0.5 * float(z[: len(halves)] @ z[: len(halves)])
        # beta density times the derivative of the logistic transform
        prior += sum(
            a * np.log(scales[name]) + b * np.log1p(-scales[name]) for name, (a, b) in shares.items()
        )
        return float(prior + log_likelihood(layout, scales))

    z, acceptance = metropolis(log_density, len(halves) + len(shares), len(halves), sampler)
    scales = scales_of(z)
    flat = {name: x.reshape(-1) for name, x in scales.items()}
    b = _effects(layout, flat, np.random.default_rng(sampler.seed))
    convergence = checked_convergence(
        {**scales, "b": b.reshape(sampler.chains, sampler.draws, -1)}, acceptance
    )
    return Posterior(layout.columns, b, flat, convergence)


def _effects(layout: Layout, scales: dict[str, Floats], rng: np.random.Generator) -> Floats:
    """Draw b, (draws, p), from its normal distribution given each draw of the scales."""
    noise = rng.standard_normal((next(iter(scales.values())).size, layout.x.shape[1]))
    both, b = np.column_stack([layout.x, layout.y]), np.empty_like(noise)
    for i, z in enumerate(noise):
        total, prior_sd = _parts(layout, {name: values[i] for name, values in scales.items()})
        solved = np.linalg.solve(total, both)
        precision = layout.x.T @ solved[:, :-1] + np.diag(prior_sd**-2)
        root = np.linalg.cholesky(precision)
        half = solve_triangular(root, layout.x.T @ solved[:, -1], lower=True, check_finite=False)
        b[i] = solve_triangular(root.T, half + z, check_finite=False)
    return b
