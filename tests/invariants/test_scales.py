"""Whatever the form, conversion there and back changes nothing and keeps order."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.scales import Scale, instruments

FORMS = [form for entry in instruments() for form in entry.scales]
forms = st.sampled_from(FORMS) | st.builds(
    lambda low, span, turned: Scale("any", low, low + span, turned),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 1e4),
    st.booleans(),
)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=20).map(np.array)


def close(first, second, scale):
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-9 * max(1, scale.span, abs(scale.low)))


@given(forms, shares)
def test_levels_return(scale, share):
    level = scale.low + share * scale.span
    common = scale.to_common(level)
    assert ((common >= -1e-6) & (common <= 100 + 1e-6)).all()
    close(scale.from_common(common), level, scale)


@given(forms, shares)
def test_changes_and_spreads_return(scale, share):
    change = (2 * share - 1) * scale.span
    close(scale.change_from_common(scale.change_to_common(change)), change, scale)
    spread = share * scale.span
    close(scale.spread_from_common(scale.spread_to_common(spread)), spread, scale)


@given(forms, st.floats(0, 1), st.floats(0, 1))
def test_a_change_is_the_difference_of_two_levels(scale, before, after):
    first, second = scale.low + before * scale.span, scale.low + after * scale.span
    moved = scale.to_common(second) - scale.to_common(first)
    assert math.isclose(scale.change_to_common(second - first), moved, abs_tol=1e-6)


@given(forms)
def test_the_best_end_is_zero(scale):
    best, worst = (scale.high, scale.low) if scale.higher_is_better else (scale.low, scale.high)
    assert scale.to_common(best) == 0
    assert scale.to_common(worst) == 100
