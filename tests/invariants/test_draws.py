"""A draw belongs to its address, whatever is drawn beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.draws import Stream, dirichlet, normals, uniforms

SHAPES = np.array([[4.0, 2.0, 0.5], [1.0, 1.0, 1.0], [9.0, 0.2, 3.0], [2.0, 3.0, 4.0]])
REPLICATES = np.array([11, 2, 40, 7])


def _dirichlet(seed, stream, replicates, first, patients, _):
    rows = [REPLICATES.tolist().index(r) for r in replicates]
    return dirichlet(seed, stream, replicates, first, patients, SHAPES[rows])


DRAWS = pytest.mark.parametrize(
    "draw", [uniforms, normals, _dirichlet], ids=["uniforms", "normals", "dirichlet"]
)


@DRAWS
def test_any_part_of_a_draw_is_the_same_alone(draw):
    whole = draw(5, Stream.SHARES, REPLICATES, 0, 12, 9)
    for rows in ([2], [3, 0], [1, 2, 3]):
        for first, patients in ((0, 12), (4, 1), (7, 5)):
            part = draw(5, Stream.SHARES, REPLICATES[rows], first, patients, 9)
            assert part.tobytes() == np.ascontiguousarray(whole[:, rows, first : first + patients]).tobytes()


@pytest.mark.parametrize("draw", [uniforms, normals])
def test_fewer_draws_are_the_first_of_more(draw):
    many = draw(5, Stream.COURSE, REPLICATES, 3, 4, 11)
    for count in range(1, 11):
        assert draw(5, Stream.COURSE, REPLICATES, 3, 4, count).tobytes() == many[:count].tobytes()


@given(
    seed=st.integers(0, 2**64 - 1),
    replicate=st.integers(0, 2**31),
    first=st.integers(0, 2**31),
    changed=st.sampled_from(["seed", "stream", "replicate", "patient"]),
)
def test_every_part_of_the_address_counts(seed, replicate, first, changed):
    """Four 32-bit words agree by chance once in 10^38."""
    one = uniforms(seed, Stream.TRIAL, np.array([replicate]), first, 1, 4)
    other = uniforms(
        seed ^ (1 << 63) if changed == "seed" else seed,
        Stream.COURSE if changed == "stream" else Stream.TRIAL,
        np.array([replicate + (changed == "replicate")]),
        first + (changed == "patient"),
        1,
        4,
    )
    assert (one != other).any()
