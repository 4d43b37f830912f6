"""The same steps through JAX, for a GPU where one is present.

The step is the generated source itself, called on whole arrays; results agree with the compiled solver to rounding.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from stemtrial.errors import InputError, Problem
from stemtrial.mechanism import _generated

Advance = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
"""Moves states in place: states, patient, shared, steps, inputs at the stage times, constants of the method."""

_MOST_STEPS = 64


@cache
def _compiled() -> Any:
    """Return the loop over steps; JAX compiles it once for each device, shape and type."""
    import jax
    import jax.numpy as jnp

    step = _generated.step.py_func  # type: ignore[attr-defined]

    def loop(count: Any, x: Any, q: Any, p: Any, h: Any, u: Any, c: Any) -> Any:
        shared = [p[:, i, None] for i in range(p.shape[1])]
        constants = [c[i] for i in range(c.shape[0])]

        def one(k: Any, state: Any) -> Any:
            inputs = [u[:, k, s, i, None] for s in range(u.shape[2]) for i in range(u.shape[3])]
            return step(h[k], *state, *q, *shared, *inputs, *constants)

        return jnp.stack(jax.lax.fori_loop(0, count, one, tuple(x)))

    return jax.jit(loop)


def advance_on(platform: str) -> Advance:
    """Return a function with the signature of the compiled ``advance`` that runs on a platform of JAX.

    Parameters
    ----------
    platform
        ``gpu`` or ``cpu``.

    Raises
    ------
    InputError
        Where JAX finds no such device.
    """
    import jax

    try:
        device = jax.devices(platform)[0]
    except RuntimeError:
        found = ", ".join(sorted({d.platform for d in jax.devices()}))
        raise InputError(
            Problem(
                "is not present here", field="--device", value=platform, allowed=f"cpu (JAX finds: {found})"
            )
        ) from None

    def advance(
        states: np.ndarray,
        patient: np.ndarray,
        shared: np.ndarray,
        h: np.ndarray,
        u: np.ndarray,
        constants: np.ndarray,
    ) -> None:
        with jax.enable_x64(states.dtype == np.float64), jax.default_device(device):
            for first in range(0, len(h), _MOST_STEPS):
                part = slice(first, min(first + _MOST_STEPS, len(h)))
                count = part.stop - part.start
                steps = np.ones(_MOST_STEPS, h.dtype)
                steps[:count] = h[part]
                inputs = np.zeros((u.shape[0], _MOST_STEPS, *u.shape[2:]), u.dtype)
                inputs[:, :count] = u[:, part]
                states[:] = _compiled()(count, states, patient, shared, steps, inputs, constants)

    return advance
