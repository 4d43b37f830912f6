"""The graded grid: exact ends, steps no longer than stated, and no more of them than needed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.schedule import schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Saline


@given(
    first=st.floats(0.02, 2),
    growth=st.floats(0.01, 1),
    longest=st.floats(3, 90),
    since=st.floats(0, 300),
    gap=st.floats(0, 200),
    length=st.floats(0.01, 400),
)
def test_steps_reach_the_end_and_are_no_longer_than_stated(first, growth, longest, since, gap, length):
    """A step is at most the mean of the stated length over it, so at most the stated length at its end."""
    grid = Grid(first, growth, longest)
    start = since + gap
    h = grid.steps(start, start + length, since)
    assert h.sum() == pytest.approx(length, rel=1e-12)
    assert (h > 0).all()
    ends = np.cumsum(h) + start - since
    assert (h <= np.minimum(longest, first + growth * ends) * (1 + 1e-9) + 1e-9).all()


def test_number_of_steps_is_the_integral_of_the_inverse_length():
    h = Grid(0.25, 0.2, 60).steps(0, 365.25, 0)
    knee = (60 - 0.25) / 0.2
    exact = np.log(60 / 0.25) / 0.2 + (365.25 - knee) / 60
    assert len(h) == np.ceil(exact)


def test_refining_halves_every_step():
    coarse = STANDARD.steps(0, 365.25, 0)
    fine = STANDARD.refined(2).steps(0, 365.25, 0)
    assert abs(len(fine) - 2 * len(coarse)) <= 2
    assert fine.max() < 0.55 * coarse.max()


def test_visits_do_not_make_the_grid_fine_again():
    """Between visits the grid goes on from the last switch: stopping costs at most one step a visit."""
    whole = len(STANDARD.steps(0, 365.25, 0))
    pieces = sum(len(STANDARD.steps(a, a + 30.4375, 0)) for a in np.arange(12) * 30.4375)
    assert pieces <= whole + 12


def test_steps_suit_the_schedule():
    product = {"source": "bone_marrow", "product": "culture_expanded", "dose_million": 50, "at_months": (0,)}
    own, donor = (Cells(origin=origin, **product) for origin in ("autologous", "allogeneic"))
    saline = schedule([Saline(at_months=(0,))])
    assert STANDARD.suited(saline) == STANDARD.refined(0.25)
    assert STANDARD.suited(saline, rescue=True) == STANDARD
    assert STANDARD.suited(schedule([own])) == STANDARD
    assert STANDARD.suited(schedule([donor])) == STANDARD.refined(1.5)
    many = donor.model_copy(update={"dose_million": 100, "at_months": (0, 3)})
    many_own = own.model_copy(update={"dose_million": 100, "at_months": (0, 3)})
    assert STANDARD.suited(schedule([many_own])) == STANDARD.refined(1.5)
    assert STANDARD.suited(schedule([many])) == STANDARD.refined(2.5)
    assert STANDARD.suited(schedule([own, Corticosteroid(at_months=(3,))])) == STANDARD.refined(2)
