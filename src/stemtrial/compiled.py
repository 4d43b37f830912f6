"""How compiled functions are made: no fast-math beyond fused multiply-add, cached on disk per version of the source."""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic, overload

Compilable = Callable[..., Any]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@cache
def cache_directory() -> Path:
    """Folder of compiled functions: the user's cache, a subfolder for every state of the package's source.

    Numba notices changes of the file of a function but not of the files it calls; a folder per state of the
    source keeps a stale function from ever being run.
    """
    package = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if b"compiled import" in text or path == Path(__file__):
            digest.update(text)
    if root := os.environ.get("STEMTRIAL_CACHE"):
        base = Path(root)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home())) / "stemtrial"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stemtrial"
    return base / "kernels" / digest.hexdigest()[:16]


def is_cached() -> bool:
    """Whether this version of the source has been compiled on this machine before."""
    return any(cache_directory().rglob("*.nbi"))


def jit(function: Compilable) -> Compilable:
    """Compile a function on first call, without the interpreter lock, and keep the result on disk."""
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_directory())
    try:
        compiled: Compilable = numba.njit(cache=True, **_OPTIONS)(function)
    finally:
        numba.config.CACHE_DIR = previous
    return compiled


def inline(function: Compilable) -> Compilable:
    """Make a function available to compiled functions, its code put into the caller."""
    compiled: Compilable = numba.njit(forceinline=True, **_OPTIONS)(function)
    return compiled


@intrinsic
def wide_vectors(typing_context):  # type: ignore[no-untyped-def]
    """Let the compiled function that calls this use the widest vectors of the processor.

    Compilers avoid 512-bit vectors where a few would slow the clock down; in a loop of nothing else they pay off.
    Only the width changes: a patient's arithmetic, and so every bit of the result, is the same.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


def empty_like_kind(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Uninitialised ``(rows, columns)`` array of another array's type; usable in compiled functions."""
    return np.empty((rows, columns), array.dtype)


@overload(empty_like_kind)  # type: ignore[untyped-decorator]
def _empty_like_kind(array: Any, rows: int, columns: int) -> Callable[..., np.ndarray]:
    dtype = array.dtype

    def empty(array: Any, rows: int, columns: int) -> np.ndarray:
        return np.empty((rows, columns), dtype)

    return empty


@inline
def load(block, row, array, rows, group, first):  # type: ignore[no-untyped-def]
    """Copy some rows of an array (rows, groups, patients) into a block (rows, lanes); the last patient fills it up."""
    for i in range(len(rows)):
        values = array[rows[i], group, first : first + block.shape[1]]
        lanes = block[row + i]
        for lane in range(len(values)):
            lanes[lane] = values[lane]
        for lane in range(len(values), len(lanes)):
            lanes[lane] = values[-1]


@inline
def store(block, array, rows, group, first):  # type: ignore[no-untyped-def]
    """Copy the leading rows of a block back."""
    for i in range(len(rows)):
        values = array[rows[i], group, first : first + block.shape[1]]
        lanes = block[i]
        for lane in range(len(values)):
            values[lane] = lanes[lane]
