"""Whether chains have converged: rank-normalised split R-hat, bulk and tail effective sample size.

Vehtari, Gelman, Simpson, Carpenter and Buerkner, *Bayesian Analysis* 16 (2021) 667. The autocorrelations are NumPyro's.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata


@dataclass(frozen=True)
class Convergence:
    """Diagnostics of several quantities.

    Attributes
    ----------
    r_hat, bulk, tail
        R-hat, effective sample sizes for the middle and for the 5 % and 95 % quantiles, (quantities,).
    """

    r_hat: np.ndarray
    bulk: np.ndarray
    tail: np.ndarray


def converge(draws: np.ndarray) -> Convergence:
    """Diagnose chains.

    Parameters
    ----------
    draws
        (chains, draws, quantities); at least two chains of four draws.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(1).normal(size=(4, 500, 2))
    >>> bool((converge(x).r_hat < 1.01).all())
    True
    """
    split = _halves(draws)
    ranked = _ranked(split)
    folded = _ranked(np.abs(split - np.median(split, axis=(0, 1))))
    low, high = (split <= np.quantile(split, q, axis=(0, 1)) for q in (0.05, 0.95))
    return Convergence(
        np.maximum(_r_hat(ranked), _r_hat(folded)),
        _ess(ranked),
        np.minimum(_ess(low.astype(float)), _ess(high.astype(float))),
    )


def _halves(draws: np.ndarray) -> np.ndarray:
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, draws.shape[1] - half :]])


def _ranked(x: np.ndarray) -> np.ndarray:
    """Replace values by normal scores of their pooled ranks."""
    flat = x.reshape(-1, x.shape[2])
    ranks = rankdata(flat, axis=0)
    return np.asarray(ndtri((ranks - 0.375) / (len(flat) + 0.25)).reshape(x.shape))


def _r_hat(x: np.ndarray) -> np.ndarray:
    n = x.shape[1]
    within = x.var(axis=1, ddof=1).mean(axis=0)
    between = x.mean(axis=1).var(axis=0, ddof=1)
    return np.asarray(np.sqrt((n - 1) / n + between / within))


def _ess(x: np.ndarray) -> np.ndarray:
    from numpyro.diagnostics import effective_sample_size

    constant, draws = x.var(axis=(0, 1)) == 0, float(x.shape[0] * x.shape[1])
    found = np.asarray(effective_sample_size(np.where(constant, np.arange(x.shape[1])[None, :, None], x)))
    # Draws that alternate say more than independent ones; how much more cannot be told beyond this bound (same paper).
    most = draws * np.log10(draws)
    return np.where(constant, draws, np.where((found <= 0) | (found > most), most, found))
