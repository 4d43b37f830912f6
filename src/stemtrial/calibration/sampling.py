"""Hamiltonian sampling of a fit: the No-U-Turn sampler on the coordinates of a fit model, saved as it goes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial.calibration.fitmodel import FitModel
from stemtrial.errors import NumericalError

BLOCK = 25
"""Iterations between two savings."""

DEEPEST = 5
"""Largest depth of the tree of leapfrog steps: where a step comes out short, longer paths cost more than they bring."""

ACCEPTANCE = 0.8
"""Target of the adaptation of the step size."""


@dataclass(frozen=True)
class Shape:
    """Normal approximation of a posterior at its mode, in whose coordinates the sampler moves.

    Attributes
    ----------
    mode
        Coordinates of highest density, (dimension,).
    factor
        A square root of the inverse of the negative Hessian there, (dimension, dimension).
    """

    mode: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Chain:
    """Result of one chain.

    Attributes
    ----------
    draws
        Coordinates, (draws, dimension).
    log_density
        Log posterior density, (draws,).
    divergent
        Whether the trajectory of a draw diverged, (draws,).
    leaps
        Gradients spent on a draw, (draws,).
    step
        Step size.
    """

    draws: np.ndarray
    log_density: np.ndarray
    divergent: np.ndarray
    leaps: np.ndarray
    step: float


def in_double_precision() -> None:
    """Make JAX compute in double precision."""
    import jax

    jax.config.update("jax_enable_x64", True)


class Sampler:
    """The No-U-Turn sampler (Hoffman and Gelman 2014; NumPyro's) for one fit model, compiled once.

    Parameters
    ----------
    model
        What to sample.
    warmup
        Iterations of adaptation.
    """

    def __init__(self, model: FitModel, warmup: int) -> None:
        in_double_precision()
        self.model, self.warmup = model, warmup

    @cached_property
    def _density(self) -> Any:
        import jax

        return jax.jit(jax.value_and_grad(self._log_posterior))

    def _log_posterior(self, z: Any, weights: Any, data: Any) -> Any:
        return self.model.log_weighted(z, weights, data) - 0.5 * (z**2).sum()

    def shape(self, weights: np.ndarray | None = None, data: np.ndarray | None = None) -> Shape:
        """Find the mode by L-BFGS and the Hessian there by central differences of gradients.

        Parameters
        ----------
        weights, data
            As for :meth:`chain`.

        Raises
        ------
        NumericalError
            Where the density is not finite on the way.
        """
        from scipy.optimize import minimize

        w, y = self._data(weights, data)
        n = self.model.dimension

        def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self._density(z, w, y)
            return -float(value), -np.asarray(gradient)

        self._require(np.zeros(n), w, y)
        mode = minimize(
            loss, np.zeros(n), jac=True, method="L-BFGS-B", options={"maxiter": 400, "maxcor": 30}
        ).x
        self._require(mode, w, y)
        step = 1e-3
        hessian = np.empty((n, n))
        for i in range(n):
            e = np.zeros(n)
            e[i] = step
            hessian[i] = (loss(mode + e)[1] - loss(mode - e)[1]) / (2 * step)
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        # Where data say nothing the curvature is the prior's, 1; a mode on a ridge must not make steps of any length.
        return Shape(mode, vectors / np.sqrt(np.clip(values, 0.3, None)))

    def _data(self, weights: np.ndarray | None, data: np.ndarray | None) -> tuple[Any, Any]:
        import jax.numpy as jnp

        w = np.ones(len(self.model.arms)) if weights is None else weights
        y = self.model.data if data is None else data
        return jnp.asarray(w, float), jnp.asarray(y, float)

    def _require(self, z: np.ndarray, w: Any, y: Any) -> tuple[Any, Any]:
        value, gradient = self._density(z, w, y)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise NumericalError(
                f"the log density or its gradient is not finite at {np.round(z, 4).tolist()}; "
                "check the arms for impossible numbers"
            )
        return value, gradient

    @cached_property
    def _kernel(self) -> tuple[Any, Any]:
        """Functions that begin and that continue a chain on the coordinates x of a shape, z = mode + factor x."""
        from numpyro.infer.hmc import hmc

        def potential_of(weights: Any, data: Any, mode: Any, factor: Any) -> Any:
            return lambda x: -self._log_posterior(mode + factor @ x, weights, data)

        found: tuple[Any, Any] = hmc(potential_fn_gen=potential_of, algo="NUTS")
        return found

    @cached_property
    def _block(self) -> Any:
        import jax

        def block(state: Any, *given: Any) -> tuple[Any, Any]:
            def one(s: Any, _: Any) -> tuple[Any, Any]:
                s = self._kernel[1](s, given, {})
                return s, (s.z, -s.potential_energy, s.diverging, s.num_steps)

            found: tuple[Any, Any] = jax.lax.scan(one, state, None, length=BLOCK)
            return found

        compiled: Any = jax.jit(block)
        return compiled

    def chain(
        self,
        seed: int,
        draws: int,
        shape: Shape,
        *,
        weights: np.ndarray | None = None,
        data: np.ndarray | None = None,
        file: Path | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Chain:
        """Run a chain.

        Parameters
        ----------
        seed
            Of the chain.
        draws
            After the warm-up.
        shape
            Coordinates to move in.
        weights
            Of the arms' likelihood, (arms,); 0 holds an arm out.
        data
            In place of the model's own, as :attr:`.FitModel.data`.
        file
            Where the chain saves itself, and from where an interrupted one goes on.
        progress
            Called with the iterations done.

        Raises
        ------
        NumericalError
            Where the log density or its gradient is not finite at the start; the coordinates are in the message.
        """
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree
        from numpyro.infer.util import ParamInfo

        w, y = self._data(weights, data)
        start = 0.5 * np.random.default_rng([seed, 17]).standard_normal(self.model.dimension)
        value, gradient = self._require(shape.mode + shape.factor @ start, w, y)
        given = (w, y, jnp.asarray(shape.mode), jnp.asarray(shape.factor))
        state = self._kernel[0](
            ParamInfo(jnp.asarray(start), -value, -gradient @ given[3]),
            self.warmup,
            target_accept_prob=ACCEPTANCE,
            max_tree_depth=DEEPEST,
            model_args=given,
            rng_key=jax.random.PRNGKey(seed),
        )
        leaves, tree = jax.tree.flatten(state)
        kinds = [np.asarray(leaf).dtype for leaf in leaves]
        _, unravel = ravel_pytree([jnp.asarray(leaf).astype(float) for leaf in leaves])

        done = 0
        kept: list[list[np.ndarray]] = [[], [], [], []]
        if file is not None and file.is_file():
            with np.load(file, allow_pickle=False) as saved:
                done = int(saved["done"])
                kept = [[saved[f"kept{k}"]] if len(saved[f"kept{k}"]) else [] for k in range(4)]
                found = unravel(jnp.asarray(saved["state"]))
            state = jax.tree.unflatten(
                tree, [jnp.asarray(leaf).astype(kind) for leaf, kind in zip(found, kinds, strict=True)]
            )
        while done < self.warmup + draws:
            state, trace = self._block(state, *given)
            done += BLOCK
            if done > self.warmup:
                for column, values in zip(kept, trace, strict=True):
                    column.append(np.asarray(values)[-(done - self.warmup) :])
            if file is not None:
                flat, _ = ravel_pytree([jnp.asarray(leaf).astype(float) for leaf in jax.tree.leaves(state)])
                columns = {f"kept{k}": np.concatenate(v) if v else np.zeros(0) for k, v in enumerate(kept)}
                partial = file.with_suffix(".partial")
                with partial.open("wb") as out:
                    np.savez(out, done=done, state=np.asarray(flat), **columns)  # type: ignore[arg-type]
                os.replace(partial, file)
            progress(done)
        x, density, divergent, leaps = (np.concatenate(v)[:draws] for v in kept)
        z = shape.mode + x @ shape.factor.T
        return Chain(
            z, density, divergent.astype(bool), leaps.astype(int), float(state.adapt_state.step_size)
        )
