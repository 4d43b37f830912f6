"""How compiled functions are made: no fast-math beyond fused multiply-add, cached on disk per version of the source."""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

Compilable = Callable[..., Any]

_VECTOR_BYTES = 64

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


@contextmanager
def while_compiling(tell: Callable[[bool], None]) -> Iterator[None]:
    """Call a function with true when the compiler begins and false when it has done; loading from disk is silent."""
    depth, one_at_a_time = 0, threading.Lock()

    class Listener(event.Listener):  # type: ignore[misc]
        def _change(self, step: int) -> None:
            nonlocal depth
            with one_at_a_time:
                before, depth = depth, depth + step
                if bool(before) != bool(depth):
                    tell(bool(depth))

        def on_start(self, event: Any) -> None:
            self._change(1)

        def on_end(self, event: Any) -> None:
            self._change(-1)

    with event.install_listener("numba:compile", Listener()):
        yield


@contextmanager
def _kept_on_disk() -> Iterator[None]:
    """Let what is made compilable inside be kept in the cache directory."""
    previous = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_directory())
    try:
        yield
    finally:
        numba.config.CACHE_DIR = previous


def jit(function: Compilable) -> Compilable:
    """Compile a function on first call, without the interpreter lock, and keep the result on disk."""
    with _kept_on_disk():
        compiled: Compilable = numba.njit(cache=True, **_OPTIONS)(function)
    return compiled


def entry(signature: Any, function: Compilable) -> Any:
    """Compile a function at once for calls by other compiled code, from its ``address`` on, and keep it on disk."""
    with _kept_on_disk():
        return numba.cfunc(signature, cache=True)(function)


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


@intrinsic(prefer_literal=True)
def empty_like_kind(typing_context, array, rows, columns):  # type: ignore[no-untyped-def]
    """Uninitialised ``(rows, columns)`` array of another array's type, on the stack of the compiled function."""
    block = types.Array(array.dtype, 2, "C")

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        shape = rows.literal_value, columns.literal_value
        kind = context.get_data_type(array.dtype)
        size = context.get_abi_sizeof(kind)
        memory = cgutils.alloca_once(builder, kind, shape[0] * shape[1])
        memory.align = _VECTOR_BYTES
        found = context.make_array(block)(context, builder)
        dimensions, strides = (
            [context.get_constant(types.intp, n) for n in sizes] for sizes in (shape, (shape[1] * size, size))
        )
        populate_array(found, memory, dimensions, strides, size, meminfo=None)
        return found._getvalue()

    return block(array, rows, columns), generate


class _Rows:
    """Rows of an array (rows, groups, patients) and of the block (rows, lanes) that some patients of them fill.

    Written as machine code directly: sliced in Python, a few rows to copy cost more to compile than the equations.
    """

    def __init__(self, context: Any, builder: Any, block: Any, array: Any) -> None:
        self._builder = builder
        self._block, self._array = (
            context.make_array(kind)(context, builder, value) for kind, value in (block, array)
        )
        self._size = context.get_abi_sizeof(self._block.data.type.pointee)
        self.lanes = builder.extract_value(self._block.shape, 1)
        self._groups, self._patients = (builder.extract_value(self._array.shape, i) for i in (1, 2))

    def here(self, first: Any) -> Any:
        """Return the number of patients from the first on, at most as many as there are lanes."""
        left = self._builder.sub(self._patients, first)
        return self._builder.select(self._builder.icmp_signed("<", left, self.lanes), left, self.lanes)

    def lane(self, row: Any, lane: Any) -> Any:
        """Return the place of a lane of a row of the block."""
        at = self._builder.add(self._builder.mul(self.lanes.type(row), self.lanes), lane)
        return self._builder.gep(self._block.data, [at])

    def patient(self, row: Any, group: Any, patient: Any) -> Any:
        """Return the place of a patient of a row of the array."""
        at = self._builder.add(self._builder.mul(self.lanes.type(row), self._groups), group)
        at = self._builder.add(self._builder.mul(at, self._patients), patient)
        return self._builder.gep(self._array.data, [at])

    def copy(self, target: Any, source: Any, count: Any) -> None:
        """Copy some numbers that follow one another."""
        cgutils.raw_memcpy(self._builder, target, source, count, self._size)


@intrinsic(prefer_literal=True)
def load(typing_context, block, row, array, rows, group, first):  # type: ignore[no-untyped-def]
    """Copy some rows of an array (rows, groups, patients) into a block (rows, lanes); the last patient fills it up."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        both = _Rows(context, builder, (block, arguments[0]), (array, arguments[2]))
        here = both.here(arguments[5])
        inside = range(row.literal_value, row.literal_value + len(rows))
        for i, source in zip(inside, rows, strict=True):
            start = both.patient(source.literal_value, arguments[4], arguments[5])
            both.copy(both.lane(i, here.type(0)), start, here)
        with cgutils.for_range(builder, both.lanes, start=here) as loop:
            for i in inside:
                last = builder.load(both.lane(i, builder.sub(here, here.type(1))))
                builder.store(last, both.lane(i, loop.index))
        return context.get_dummy_value()

    return types.void(block, row, array, rows, types.intp, types.intp), generate


@intrinsic(prefer_literal=True)
def store(typing_context, block, array, rows, group, first):  # type: ignore[no-untyped-def]
    """Copy the leading rows of a block back."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        both = _Rows(context, builder, (block, arguments[0]), (array, arguments[1]))
        here = both.here(arguments[4])
        for i, target in enumerate(rows):
            place = both.patient(target.literal_value, arguments[3], arguments[4])
            both.copy(place, both.lane(i, here.type(0)), here)
        return context.get_dummy_value()

    return types.void(block, array, rows, types.intp, types.intp), generate
