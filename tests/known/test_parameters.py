"""The registry: every constant of the equations has a row with value, range, unit, meaning, source and quality."""

from dataclasses import replace

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.mechanism import equations, parameters
from stemtrial.mechanism.inputs import INPUT_CONSTANTS


def test_every_constant_the_model_reads_is_in_the_registry():
    needed = {*equations.SHARED, *INPUT_CONSTANTS, "f_ret", "k_M"} - {"allo"}
    assert needed <= set(parameters.registry())


def test_every_row_is_complete_and_sourced():
    for p in parameters.registry().values():
        assert p.unit
        assert p.meaning
        assert p.source
        assert np.isfinite(p.value)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        # f_ret: 15 % at 30 d carried back along the slow phase ln(15/1.5)/150 d; k_cs: 4991.1 -> 149.4 pg/mL in 41 d;
        # k_U: half-life 0.214 weeks; ctx: Wen 2022 on 0-50, doubled; f_B: ratio of the scaled Emax.
        ("f_ret", 0.15 * np.exp(30 * np.log(10) / 150)),
        ("k_cs", np.log(4991.1 / 149.4) / 41),
        ("k_U", np.log(2) / (7 * np.exp(-1.54))),
        ("ctx_Emax", 2 * 4.73),
        ("tau_ctx", 2 * 3.56),
        ("k_B", 0.427 / 7),
        ("f_B", (13.2 / 170) / (4.73 / 50)),
        ("k_A", np.log(2) / 180),
        ("k_R", np.log(2) / 240),
        ("k_V", np.log(2) / 45),
    ],
)
def test_derived_values_follow_from_their_sources(symbol, expected):
    assert parameters.registry()[symbol].value == pytest.approx(expected, rel=0.01)


def test_changed_values_are_used():
    assert parameters.values(f_ret=0.3)["f_ret"] == 0.3
    assert parameters.values()["f_ret"] == 0.24


@pytest.mark.parametrize("value", [0.09, 0.41, -1, np.nan, np.inf])
def test_values_outside_their_range_are_refused(value):
    with pytest.raises(InputError, match=r"f_ret.*0\.1 to 0\.4|0\.1 to 0\.4"):
        parameters.values(f_ret=value)


def test_unknown_symbols_are_refused_together():
    with pytest.raises(InputError) as caught:
        parameters.values(nonsense=1.0, f_ret=2.0)
    assert "nonsense" in str(caught.value)
    assert "f_ret" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quality": "guess"}, "quality"),
        ({"low": None}, "uncertain constants have a range"),
        ({"value": 1.0}, "outside its range"),
        ({"low": 0.0, "scale": "log"}, "positive"),
    ],
)
def test_impossible_rows_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(parameters.registry()["f_ret"], **change)
