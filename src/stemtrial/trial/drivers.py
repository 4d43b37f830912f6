r"""What drives a trial's chance of success: first-order Sobol indices over what is believed of the constants.

The index of a constant is the share of the variance that would vanish on average if it were known,
:math:`S_i = \mathrm{Var}\{E(Y|X_i)\}/\mathrm{Var}(Y)` (Sobol 1993; Saltelli et al. 2010, *Computer Physics
Communications* 181:259). It is estimated from the run's own draws, whatever their distribution: replicates are put into
bins of equal number by the constant, and the variance between the bins' means is freed of what chance adds to it
(:math:`\omega^2`, Hays 1963).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from stemtrial.mechanism.parameters import registry
from stemtrial.simulation import Results
from stemtrial.trial.plan import Plan

FOLDS = 10
"""Parts of the replicates, each left out once for the standard error."""


@dataclass(frozen=True)
class Driver:
    """A constant and what it does to the chance of success.

    Attributes
    ----------
    symbol, meaning
        Name and meaning of the constant.
    index
        First-order Sobol index; below 0 only by chance.
    se
        Its standard error (delete-a-group jackknife).
    low, high
        Mean chance of success in the fifth of the virtual trials with the smallest and the largest values.
    """

    symbol: str
    meaning: str
    index: float
    se: float
    low: float
    high: float


def first_order(x: np.ndarray, y: np.ndarray, bins: int) -> float:
    """First-order Sobol index of one input, from draws of any distribution.

    Parameters
    ----------
    x, y
        Input and output, (draws,).
    bins
        Bins of equal number.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.normal(size=(2, 100_000))
    >>> round(first_order(a, 2 * a + b, 50), 1)
    0.8
    """
    groups = np.array_split(y[np.argsort(x, kind="stable")], bins)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(y) - bins)
    total = ((y - y.mean()) ** 2).sum()
    between = total - within * (len(y) - bins)
    return float((between - (bins - 1) * within) / total) if total > 0 else 0.0


def chance(plan: Plan, results: Results) -> np.ndarray:
    """Chance of each replicate's trial to succeed at its last look, given its true difference, (replicates,).

    It is that of the main comparison, tested alone with all of alpha.

    From the true difference of its patients and the standard error of its estimate; chance in the readings is averaged
    over, chance in who is enrolled is not.
    """
    hypothesis, critical = plan.trial.question.margin, plan.looks.bounds.upper[-1]
    truth, se = results["specific"] + results["contextual"], results["path"][:, -1, 1]
    shown = ndtr((hypothesis.null - truth) / se - critical)
    if hypothesis.kind == "equivalence":
        shown = np.maximum(shown + ndtr((hypothesis.null + truth) / se - critical) - 1, 0)
    return np.asarray(shown)


def drivers(plan: Plan, results: Results, seed: int, replicates: np.ndarray) -> list[Driver]:
    """Every constant that varies, by falling index.

    Parameters
    ----------
    plan, results
        A trial and its replicates (:func:`stemtrial.trial.replicates.simulate`).
    seed, replicates
        Their address.
    """
    y = chance(plan, results)
    known = np.isfinite(y)
    drawn = plan.belief.draw(seed, replicates)
    y = y[known]
    bins = int(np.clip(len(y) // 100, 4, 40))
    fold = np.arange(len(y)) % FOLDS
    fifth = max(1, len(y) // 5)
    found = []
    for symbol, values in drawn.items():
        x = np.asarray(values)[known]
        if x.dtype.kind != "f" or not np.isfinite(x).all() or np.ptp(x) == 0:
            continue
        left_out = np.array([first_order(x[fold != k], y[fold != k], bins) for k in range(FOLDS)])
        se = np.sqrt((FOLDS - 1) / FOLDS * ((left_out - left_out.mean()) ** 2).sum())
        order = np.argsort(x, kind="stable")
        meaning = registry()[symbol].meaning if symbol in registry() else symbol.replace("_", " ")
        found.append(
            Driver(
                symbol,
                meaning,
                first_order(x, y, bins),
                float(se),
                float(y[order[:fifth]].mean()),
                float(y[order[-fifth:]].mean()),
            )
        )
    return sorted(found, key=lambda d: -d.index)
