"""Compiled functions that XLA calls: every kind of array, empty ones too, and operands that would be misread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stemtrial.mechanism.foreign import (
    asked_for_version,
    block,
    integers,
    matrix,
    operands,
    operation,
    results,
    vector,
)


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def _mixed(frame):
    """Sums over the last axis of a block by a matrix, plus a vector picked by integers."""
    if asked_for_version(frame):
        return 0
    a, r = operands(frame), results(frame)
    cubes, weights, values, picked, sums, count = (
        block(a[0]), matrix(a[1]), vector(a[2]), integers(a[3]), matrix(r[0]), vector(r[1]),
    )  # fmt: skip
    for i in range(cubes.shape[0]):
        for j in range(cubes.shape[1]):
            sums[i, j] = (cubes[i, j] * weights[j]).sum()
            if i < picked.shape[0]:
                sums[i, j] += values[picked[i]]
    count[0] = len(a) + len(r)
    return 0


@pytest.fixture(scope="module")
def mixed():
    return operation("stemtrial_test_mixed", _mixed)


@pytest.mark.parametrize("picked", [[2, 0, 1], [], [1]])
def test_arrays_of_every_kind_come_and_go(mixed, picked):
    rng = np.random.default_rng(1)
    cubes, weights, values = (
        rng.standard_normal((3, 2, 4)),
        rng.standard_normal((2, 4)),
        rng.standard_normal(3),
    )
    kinds = jax.ShapeDtypeStruct((3, 2), jnp.float64), jax.ShapeDtypeStruct((1,), jnp.float64)
    where = np.array(picked, np.int64)
    sums, count = jax.jit(lambda *args: mixed(kinds, *args, where))(cubes, weights, values)
    expected = (cubes * weights).sum(axis=-1)
    expected[: len(picked)] += values[where][:, None]
    assert np.allclose(sums, expected, rtol=1e-14)
    assert count[0] == 6


def test_operands_that_would_be_misread_are_refused(mixed):
    kinds = jax.ShapeDtypeStruct((1, 1), jnp.float64), jax.ShapeDtypeStruct((1,), jnp.float64)
    arrays = np.zeros((1, 1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(0, np.int64)
    for i in range(4):
        halves = [a.astype(f"{a.dtype.kind}4") if i == k else a for k, a in enumerate(arrays)]
        with pytest.raises(TypeError, match=r"stemtrial_test_mixed are .*32.*: make JAX compute in double"):
            mixed(kinds, *halves)
    with jax.enable_x64(False), pytest.raises(TypeError, match="double precision"):
        mixed(kinds, *arrays)
