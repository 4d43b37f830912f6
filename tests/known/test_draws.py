"""The generator gives its published vectors; the normal quantile is that of SciPy."""

import numpy as np
import pytest
from scipy.special import ndtri

from stemtrial import draws

# Random123, known-answer tests of philox4x32 with 10 rounds: counter, key, result.
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def _words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), VECTORS)
def test_philox_known_answers(counter, key, expected):
    given = [np.uint64(word) for word in _words(counter) + _words(key)]
    assert [int(word) for word in draws.philox(*given)] == _words(expected)


def test_address_fills_counter_and_key():
    """Block, patient, replicate and stream are the counter; the two halves of the seed are the key."""
    seed = 0x299F31D0A4093822
    counter = _words(VECTORS[2][0])
    block, patient, replicate, stream = counter
    words = draws.address(np.uint64(seed), stream, replicate, patient, block)
    assert [int(word) for word in words] == _words(VECTORS[2][2])


def test_units_are_inside_the_open_interval():
    low, high = draws.unit(np.uint64(0)), draws.unit(np.uint64(2**32 - 1))
    assert low == 2.0**-33
    assert high == 1 - 2.0**-33


def test_normal_quantile_is_that_of_scipy():
    centre = np.linspace(1e-4, 1 - 1e-4, 4001)
    tail = 2.0 ** -np.arange(2, 33.5, 0.25)
    u = np.concatenate([centre, tail, 1 - tail, [2.0**-33, 0.075, 0.925, np.exp(-25.0)]])
    computed = np.array([draws.normal_quantile(x) for x in u])
    assert computed == pytest.approx(ndtri(u), rel=1e-14, abs=1e-14)


def test_every_draw_is_the_quantile_of_its_word():
    replicates = np.array([3, 8])
    uniform = draws.uniforms(9, draws.Stream.COURSE, replicates, 5, 150, 6)
    normal = draws.normals(9, draws.Stream.COURSE, replicates, 5, 150, 6)
    assert normal == pytest.approx(ndtri(uniform), rel=1e-13)
    words = draws.address(np.uint64(9), int(draws.Stream.COURSE), 8, 7, 1)
    assert uniform[4, 1, 2] == draws.unit(words[0])
    assert uniform[5, 1, 2] == draws.unit(words[1])
