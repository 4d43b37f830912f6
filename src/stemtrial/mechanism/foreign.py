"""Compiled functions as operations of XLA, which calls them without the interpreter.

XLA hands an operation one address, that of a call frame, from which its arrays follow. The layouts are those of XLA's
foreign function interface, version 0.3, a stable binary interface, here read as words of eight bytes:

=====================  ==========================================================================
frame                  size, extension, interface, context, stage, operands (5 words), results (5)
operands, results      size, extension, count, kinds, list of addresses of buffers
buffer                 size, extension, type, address of the numbers, rank, address of the lengths
extension              size, kind, next, address of the metadata
metadata               size, version (size, extension, major and minor in one word), traits
=====================  ==========================================================================
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from stemtrial.compiled import entry, jit

_VERSION = 3 << 32
"""Major version 0 in the lower half of a word, minor version 3 in the upper."""

_METADATA = 1
"""Kind of the extension of a frame by which XLA asks for the version."""


@intrinsic
def _pointer(typing_context, address):  # type: ignore[no-untyped-def]
    """Pointer to an address."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@jit
def words(address, count):  # type: ignore[no-untyped-def]
    """Words of eight bytes from an address on, (count,)."""
    return carray(_pointer(address), (count,), np.int64)


@jit
def asked_for_version(frame):  # type: ignore[no-untyped-def]
    """Answer a frame that asks for the version of the interface; whether it did."""
    extension = words(frame, 2)[1]
    if extension == 0 or words(extension, 2)[1] & 0xFFFFFFFF != _METADATA:
        return False
    words(words(extension, 4)[3], 4)[3] = _VERSION
    return True


@jit
def operands(frame):  # type: ignore[no-untyped-def]
    """Addresses of the operands of a call."""
    return words(words(frame, 10)[9], words(frame, 8)[7])


@jit
def results(frame):  # type: ignore[no-untyped-def]
    """Addresses of its results."""
    return words(words(frame, 15)[14], words(frame, 13)[12])


@jit
def integers(buffer):  # type: ignore[no-untyped-def]
    """Array (n,) of integers at the address of a buffer."""
    b = words(buffer, 6)
    return carray(_pointer(b[3]), (words(b[5], 1)[0],), np.int64)


@jit
def vector(buffer):  # type: ignore[no-untyped-def]
    """Array (n,) of numbers."""
    b = words(buffer, 6)
    return carray(_pointer(b[3]), (words(b[5], 1)[0],), np.float64)


@jit
def matrix(buffer):  # type: ignore[no-untyped-def]
    """Array (n, m) of numbers."""
    b = words(buffer, 6)
    n = words(b[5], 2)
    return carray(_pointer(b[3]), (n[0], n[1]), np.float64)


@jit
def block(buffer):  # type: ignore[no-untyped-def]
    """Array (n, m, k) of numbers."""
    b = words(buffer, 6)
    n = words(b[5], 3)
    return carray(_pointer(b[3]), (n[0], n[1], n[2]), np.float64)


def operation(name: str, handler: Callable[[int], int]) -> Callable[..., Any]:
    """Make an operation of JAX from a function of the address of a frame, compiled, that returns 0.

    Parameters
    ----------
    name
        Under which XLA knows it.
    handler
        Reads operands and writes results by the functions of this module; it is to answer first whether it was
        :func:`asked_for_version`.

    Returns
    -------
    callable
        Takes the types of the results, then the operands: all of double precision, or integers of eight bytes.

    Raises
    ------
    TypeError
        From the callable, for an operand of another size, whose memory would be misread.
    """
    import jax

    compiled = entry(types.int64(types.int64), handler)
    _KEPT.append(compiled)
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    jax.ffi.register_ffi_target(name, capsule(compiled.address, None, None), platform="cpu")

    def call(kinds: Any, *args: Any) -> Any:
        arrays = [jax.numpy.asarray(a) for a in args]
        if sizes := {str(a.dtype) for a in arrays if a.dtype.itemsize != 8}:
            raise TypeError(f"operands of {name} are {sizes}: make JAX compute in double precision")
        return jax.ffi.ffi_call(name, kinds, vmap_method="sequential")(*arrays)

    return call


_KEPT: list[Any] = []
"""Compiled code that XLA may call as long as the process lives."""
