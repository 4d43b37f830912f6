"""Zeros of many functions of one variable at once."""

from collections.abc import Callable

import numpy as np


def root(
    f: Callable[[np.ndarray], np.ndarray], low: np.ndarray | float, high: np.ndarray | float
) -> np.ndarray:
    """Zeros of many continuous functions at once, to the last digits, by Chandrupatla's bracketing method.

    Parameters
    ----------
    f
        Function of an array, elementwise.
    low, high
        Brackets, (...). Where `f` has the same sign at both ends, the end with the smaller value is returned.

    Returns
    -------
    numpy.ndarray
        (...).

    Notes
    -----
    Chandrupatla 1997, *Advances in Engineering Software* 28:145.

    Examples
    --------
    >>> root(lambda x: x**2 - np.array([2.0, 9.0]), np.zeros(2), np.full(2, 5.0)).round(6).tolist()
    [1.414214, 3.0]
    """
    b, a = (np.array(x, dtype=float) for x in np.broadcast_arrays(low, high))
    fa, fb = f(a), f(b)
    a, b = (np.broadcast_to(x, fa.shape).copy() for x in (a, b))
    c, fc, t = a.copy(), fa.copy(), np.full(fa.shape, 0.5)
    unbracketed = np.sign(fa) * np.sign(fb) > 0
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    for _ in range(100):
        x = a + t * (b - a)
        fx = f(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        near = np.abs(fa) < np.abs(fb)
        middle, f_middle = np.where(near, a, b), np.where(near, fa, fb)
        tolerance = 4 * np.finfo(float).eps * np.abs(middle) + 1e-15
        share = np.clip(tolerance / np.maximum(np.abs(b - a), 1e-300), 0, 0.5)
        if np.all(unbracketed | (np.abs(b - a) <= 2 * tolerance) | (f_middle == 0)):
            break
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            inverse = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
            smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(inverse)
        t = np.clip(np.where(smooth, inverse, 0.5), share, 1 - share)
    return np.where(unbracketed, best, middle)
