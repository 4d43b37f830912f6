"""The graded grid: exact ends, steps no longer than stated, and no more of them than needed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.mechanism.grid import STANDARD, Grid
from stemtrial.mechanism.schedule import Schedule, schedule
from stemtrial.mechanism.treatments import Cells, Corticosteroid, Saline


@given(
    start=st.floats(0.01, 2),
    first=st.floats(0.02, 2),
    growth=st.floats(0.01, 1),
    longest=st.floats(3, 90),
    since=st.floats(0, 300),
    gap=st.floats(0, 200),
    length=st.floats(0.01, 400),
)
def test_steps_reach_the_end_and_are_no_longer_than_stated(start, first, growth, longest, since, gap, length):
    """A step is at most the mean of the stated length over it, so at most the stated length at its end."""
    grid = Grid(first, growth, longest, start=start)
    begin = since + gap
    h = grid.steps(begin, begin + length, since)
    assert h.sum() == pytest.approx(length, rel=1e-12)
    assert (h > 0).all()
    ends = np.cumsum(h) + begin - since
    stated = np.minimum.reduce([start + grid.rush * ends, first + growth * ends, np.full(len(h), longest)])
    if start < first or growth <= grid.rush:
        assert (h <= stated * (1 + 1e-9) + 1e-9).all()
    assert (
        h <= np.minimum(longest, max(start, first) + max(growth, grid.rush) * ends) * (1 + 1e-9) + 1e-9
    ).all()


def test_number_of_steps_is_the_integral_of_the_inverse_length():
    grid = Grid(start=0.1, first=0.7, growth=0.2, longest=60, rush=0.5)
    days = np.linspace(0, 365.25, 2_000_001)
    length = np.minimum.reduce([0.1 + 0.5 * days, 0.7 + 0.2 * days, np.full(len(days), 60.0)])
    assert len(grid.steps(0, 365.25, 0)) == np.ceil(np.trapezoid(1 / length, days))


def test_without_a_quick_start_the_first_line_holds_from_the_beginning():
    h = Grid(0.25, 0.2, 60).steps(0, 365.25, 0)
    knee = (60 - 0.25) / 0.2
    exact = np.log(60 / 0.25) / 0.2 + (365.25 - knee) / 60
    assert len(h) == np.ceil(exact)
    assert h.sum() == pytest.approx(365.25, rel=1e-12)


def test_first_steps():
    """The first step solves its own integral: ``log(1 + rush h / start) / rush`` is the share of a step it makes up."""
    grid = Grid(start=0.1, first=5, growth=0.2, longest=60, rush=0.5)
    h = grid.steps(0, 400.0, 0)
    assert h[0] == pytest.approx(0.1 * np.expm1(0.5) / 0.5, rel=0.03)
    assert h[1] / h[0] == pytest.approx(np.exp(0.5), rel=0.03)


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


def _cells(origin, dose, months=(0,)):
    product = {
        "source": "bone_marrow",
        "product": "culture_expanded",
        "dose_million": dose,
        "at_months": months,
    }
    return schedule([Cells(origin=origin, **product)])


def _count(given, *, rescue=False):
    return len(STANDARD.suited(given, rescue=rescue).steps(0.0, 365.25, 0.0))


def test_steps_suit_the_schedule():
    saline = schedule([Saline(at_months=(0,))])
    assert STANDARD.suited(saline, rescue=True) == STANDARD
    assert _count(saline) < _count(saline, rescue=True) / 4
    assert _count(_cells("autologous", 50)) == _count(saline, rescue=True)
    steroid = schedule([Corticosteroid(at_months=(3,))])
    assert _count(steroid) > 1.5 * _count(saline, rescue=True)


@pytest.mark.parametrize("origin", ["autologous", "allogeneic"])
def test_more_cells_need_more_steps(origin):
    counts = [_count(_cells(origin, dose)) for dose in (50, 200, 800, 2000)]
    assert counts == sorted(set(counts))
    assert _count(_cells(origin, 50)) <= _count(_cells("allogeneic", 50))
    assert STANDARD.suited(_cells(origin, 50, (0, 6))) == STANDARD.suited(_cells(origin, 50))


def test_combinations_take_the_shorter_of_each():
    both = Schedule(
        (*_cells("allogeneic", 200).events, *schedule([Corticosteroid(at_months=(3,))]).events), True
    )
    steroid, donor = (
        STANDARD.suited(s) for s in (schedule([Corticosteroid(at_months=(3,))]), _cells("allogeneic", 200))
    )
    found = STANDARD.suited(both)
    for field in ("start", "first", "growth", "longest"):
        assert getattr(found, field) == min(getattr(steroid, field), getattr(donor, field))
