"""What a fit asks of arrays: with JAX, which differentiates one point, or with NumPy, many points at once.

A fit moves by gradients, for which its functions are traced by JAX at one vector of coordinates. A prediction needs
values alone, at thousands of vectors: the same functions then take NumPy arrays whose leading axis counts the draws,
start at once and compile nothing. The last axes mean the same in both.
"""

from typing import Any

import numpy as np
from scipy.special import ndtr


def namespace(x: Any) -> Any:
    """Return the module of functions for an array: NumPy for its own, else ``jax.numpy``.

    Examples
    --------
    >>> namespace(np.zeros(3)).__name__
    'numpy'
    """
    if isinstance(x, np.ndarray | np.generic | float):
        return np
    import jax.numpy

    return jax.numpy


def put(base: Any, where: np.ndarray, values: Any) -> Any:
    """Return an array with some places of its last axis replaced.

    Examples
    --------
    >>> put(np.zeros((2, 3)), np.array([0, 2]), np.ones(2)).tolist()
    [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    if isinstance(values, np.ndarray | np.generic):
        lead = np.broadcast_shapes(base.shape[:-1], values.shape[:-1])
        changed = np.broadcast_to(base, (*lead, base.shape[-1])).copy()
        changed[..., where] = values
        return changed
    return namespace(values).asarray(base).at[..., where].set(values)


def normal(x: Any) -> tuple[Any, Any]:
    """Return probability and density of the standard normal distribution."""
    if isinstance(x, np.ndarray):
        return ndtr(x), np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    from jax.scipy.stats import norm

    return norm.cdf(x), norm.pdf(x)


def softplus(x: Any) -> Any:
    """Return ``log(1 + exp(x))``."""
    if isinstance(x, np.ndarray):
        # NumPy's logaddexp says the same several times slower
        return np.maximum(x, 0.0) + np.log(1.0 + np.exp(-np.abs(x)))
    import jax

    return jax.nn.softplus(x)
