"""Random draws addressed by identity: (seed, stream, replicate, patient, index).

A draw is a pure function of its address, so the same numbers appear on any number of threads, in any batch size or
order, and when one replicate is run again alone; designs and scenarios that address the same patient meet the same
patient. The generator is Philox4x32-10 (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC11), keyed
by the seed, its counter holding the address. One counter gives four draws of 32 bits.
"""

from enum import IntEnum

import numpy as np

from stemtrial.compiled import inline, jit


class Stream(IntEnum):
    """What a draw is used for; streams are independent of each other."""

    CONSTANTS = 1
    TRIAL = 2
    COVARIATES = 3
    BIOLOGY = 4
    SHARES = 5
    COURSE = 6
    CONDUCT = 7
    VISITS = 8
    RANDOMISATION = 9
    HARMS = 64
    """First of a family, one a treatment (:mod:`stemtrial.trial.adverse`)."""


Identities = int | np.ndarray
"""Identity of the first of neighbouring patients, or those of all, (groups, patients)."""


_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_UNIT = 2.0**-32
_CENTRE = 0.425
_STRETCH = 512
_ATTEMPTS = 1024


@inline
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Philox4x32-10: four 32-bit words (as uint64) from a counter of four words and a key of two."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _MASK, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@inline
def unit(word):  # type: ignore[no-untyped-def]
    """Uniform number in the open interval (0, 1) from a 32-bit word."""
    return (np.float64(word) + 0.5) * _UNIT


@inline
def _centre(q):  # type: ignore[no-untyped-def]
    """Return the normal quantile of ``0.5 + q``, ``q`` up to 0.425 either way."""
    r = 0.180625 - q * q
    top = (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
              + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
            + 133.14166789178437745) * r + 3.387132872796366608)  # fmt: skip
    low = (((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
              + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
            + 42.313330701600911252) * r + 1.0)  # fmt: skip
    return q * top / low


@inline
def _tail(r):  # type: ignore[no-untyped-def]
    """Return the size of the normal quantile of ``exp(-r^2)``, up to ``r = 5``."""
    r -= 1.6
    top = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r
              + 1.27045825245236838258) * r + 3.64784832476320460504) * r + 5.7694972214606914055) * r
            + 4.6303378461565452959) * r + 1.42343711074968357734)  # fmt: skip
    low = (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r
              + 0.14810397642748007459) * r + 0.68976733498510000455) * r + 1.6763848301838038494) * r
            + 2.05319162663775882187) * r + 1.0)  # fmt: skip
    return top / low


@inline
def _far_tail(r):  # type: ignore[no-untyped-def]
    """Return the size of the normal quantile of ``exp(-r^2)`` beyond ``r = 5``."""
    r -= 5.0
    top = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r
              + 0.026532189526576123093) * r + 0.29656057182850489123) * r + 1.7848265399172913358) * r
            + 5.4637849111641143699) * r + 6.6579046435011037772)  # fmt: skip
    low = (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r
              + 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
            + 0.59983220655588793769) * r + 1.0)  # fmt: skip
    return top / low


@inline
def normal_quantile(u):  # type: ignore[no-untyped-def]
    """Quantile of the standard normal distribution (Wichura 1988, algorithm AS 241, about 16 digits)."""
    q = u - 0.5
    if abs(q) <= _CENTRE:
        return _centre(q)
    r = np.sqrt(-np.log(u if q < 0 else 1.0 - u))
    size = _tail(r) if r <= 5.0 else _far_tail(r)
    return -size if q < 0 else size


@inline
def address(seed, stream, replicate, patient, block):  # type: ignore[no-untyped-def]
    """Four words of the block ``block`` of an address."""
    key = np.uint64(seed)
    return philox(
        np.uint64(block),
        np.uint64(patient),
        np.uint64(replicate),
        np.uint64(stream),
        key & _MASK,
        key >> _SHIFT,
    )


@jit
def _uniforms(seed, stream, replicates, who, first, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (4 blocks, groups, patients) from the block ``first`` on; neighbouring patients are SIMD lanes."""
    rows, groups, patients = out.shape
    for b in range(rows // 4):
        for g in range(groups):
            for i in range(patients):
                w = address(seed, stream, replicates[g], who[g, i], first + b)
                out[4 * b, g, i] = unit(w[0])
                out[4 * b + 1, g, i] = unit(w[1])
                out[4 * b + 2, g, i] = unit(w[2])
                out[4 * b + 3, g, i] = unit(w[3])


@jit
def _quantiles(numbers):  # type: ignore[no-untyped-def]
    """Turn uniform numbers into standard normal ones, as :func:`normal_quantile` does one by one.

    The centre's formula is cheap enough to be taken everywhere; the few numbers of the tails, none of which is as far
    out as ``r = 5`` with 32 bits, are then done together.
    """
    tails, places = np.empty(_STRETCH), np.empty(_STRETCH, np.int64)
    for start in range(0, numbers.shape[0], _STRETCH):
        stop = min(start + _STRETCH, numbers.shape[0])
        count = 0
        for k in range(start, stop):
            tails[count], places[count] = numbers[k], k
            count += abs(numbers[k] - 0.5) > _CENTRE
        for k in range(start, stop):
            numbers[k] = _centre(numbers[k] - 0.5)
        for j in range(count):
            u = tails[j]
            tails[j] = np.sqrt(-np.log(u)) if u < 0.5 else -np.sqrt(-np.log(1.0 - u))
        for j in range(count):
            r = tails[j]
            tails[j] = -_tail(r) if r > 0 else _tail(-r)
        for j in range(count):
            numbers[places[j]] = tails[j]


@inline
def _gamma(seed, stream, replicate, patient, component, shape):  # type: ignore[no-untyped-def]
    """Gamma number of shape at least 1 (Marsaglia and Tsang 2000), each attempt with a counter of its own."""
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    attempt = 0
    while True:
        w = address(seed, stream, replicate, patient, component * _ATTEMPTS + attempt)
        x = normal_quantile(unit(w[0]))
        v = 1.0 + c * x
        if v > 0:
            v = v * v * v
            u = unit(w[1])
            if u < 1.0 - 0.0331 * x * x * x * x or np.log(u) < 0.5 * x * x + d * (1.0 - v + np.log(v)):
                return d * v
        attempt += 1


@jit
def _gammas(seed, stream, replicates, who, component, shapes, tries, boost, out):  # type: ignore[no-untyped-def]
    """Gamma numbers of any shape, (groups, patients), given each first attempt: a normal and a uniform number."""
    for g in range(out.shape[0]):
        a = shapes[g]
        raised = a + 1.0 if a < 1.0 else a
        d = raised - 1.0 / 3.0
        c = 1.0 / np.sqrt(9.0 * d)
        for i in range(out.shape[1]):
            x = tries[0, g, i]
            v = 1.0 + c * x
            v = v * v * v
            if v > 0 and tries[1, g, i] < 1.0 - 0.0331 * x * x * x * x:
                value = d * v
            else:
                value = _gamma(seed, stream, replicates[g], who[g, i], component, raised)
            out[g, i] = value * boost[g, i] ** (1.0 / a) if a < 1.0 else value


def _who(first: Identities, groups: int, patients: int) -> np.ndarray:
    who = first + np.arange(patients) if isinstance(first, int | np.integer) else first
    return np.ascontiguousarray(np.broadcast_to(who, (groups, patients)), np.int64)


def _blocks(
    seed: int, stream: int, replicates: np.ndarray, who: np.ndarray, first: int, count: int
) -> np.ndarray:
    """Uniform numbers from the block ``first`` on, (count, groups, patients)."""
    out = np.empty((4 * ((count + 3) // 4), *who.shape))
    _uniforms(np.uint64(seed), int(stream), np.asarray(replicates, np.int64), who, first, out)
    return out[:count]


def uniforms(
    seed: int, stream: int, replicates: np.ndarray, first: Identities, patients: int, count: int
) -> np.ndarray:
    """Draw uniform numbers in (0, 1).

    Parameters
    ----------
    seed
        0 to 2**64 - 1.
    stream
        Use of the draws, a :class:`Stream` or a member of its families.
    replicates
        Identity of each group's replicate, (groups,).
    first, patients
        Identities of the patients: ``first`` and the ``patients - 1`` that follow; or an array of all of them, (groups,
        patients).
    count
        Draws for each patient.

    Returns
    -------
    ndarray
        (count, groups, patients).

    Examples
    --------
    >>> import numpy as np
    >>> both = uniforms(1, Stream.CONDUCT, np.array([4, 7]), 0, 3, 2)
    >>> alone = uniforms(1, Stream.CONDUCT, np.array([7]), 2, 1, 2)
    >>> bool((both[:, 1, 2] == alone[:, 0, 0]).all())
    True
    """
    return _blocks(seed, stream, replicates, _who(first, len(replicates), patients), 0, count)


def normals(
    seed: int, stream: int, replicates: np.ndarray, first: Identities, patients: int, count: int
) -> np.ndarray:
    """Draw standard normal numbers; arguments and shape as :func:`uniforms`."""
    out = uniforms(seed, stream, replicates, first, patients, count)
    _quantiles(out.reshape(-1))
    return out


def dirichlet(
    seed: int, stream: int, replicates: np.ndarray, first: Identities, patients: int, shapes: np.ndarray
) -> np.ndarray:
    """Draw Dirichlet numbers, (parts, groups, patients), that add up to one over the parts.

    Parameters
    ----------
    shapes
        Positive concentration of each part in each group, (groups, parts); the other arguments as :func:`uniforms`.
    """
    who = _who(first, len(replicates), patients)
    out = np.empty((shapes.shape[1], *who.shape))
    for k, shape in enumerate(np.ascontiguousarray(shapes.T, float)):
        tries = _blocks(seed, stream, replicates, who, k * _ATTEMPTS, 2)
        _quantiles(tries[0].reshape(-1))
        boost = _blocks(seed, stream, replicates, who, (k + 1) * _ATTEMPTS - 1, 1)[0]
        identity = np.uint64(seed), int(stream), np.asarray(replicates, np.int64), who
        _gammas(*identity, k, shape, tries, boost, out[k])
    out /= out.sum(axis=0)
    return out
