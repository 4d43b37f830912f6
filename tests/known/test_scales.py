"""Conversions and important differences against values worked out by hand or printed in the references."""

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.scales import Scale, instrument, instruments, mcid


@pytest.mark.parametrize(
    ("name", "limits", "level", "common"),
    [
        ("VAS", (0, 100), 37.0, 37.0),
        ("VAS", (0, 10), 3.7, 37.0),
        ("NRS", (0, 10), 6.0, 60.0),
        ("WOMAC pain", (0, 20), 10.0, 50.0),
        ("WOMAC pain", (0, 50), 25.0, 50.0),
        ("WOMAC pain", (0, 500), 125.0, 25.0),
        ("WOMAC function", (0, 68), 17.0, 25.0),
        ("WOMAC function", (0, 170), 83.75, 49.26470588235294),
        ("WOMAC stiffness", (0, 8), 2.0, 25.0),
        ("WOMAC total", (0, 96), 24.0, 25.0),
        ("WOMAC total", (0, 2400), 600.0, 25.0),
        ("KOOS pain", (0, 100), 100.0, 0.0),
        ("KOOS pain", (0, 10), 4.0, 40.0),
        ("OKS", (0, 48), 12.0, 75.0),
        ("LEFS", (0, 80), 80.0, 0.0),
        ("IKDC", (0, 100), 40.0, 60.0),
        ("ODI", (0, 100), 46.1, 46.1),
        ("Lequesne", (0, 24), 12.0, 50.0),
        ("Roland-Morris", (0, 24), 6.0, 25.0),
        ("EQ-5D", (-0.6, 1), 0.2, 50.0),
        ("Pfirrmann", (1, 5), 4.0, 75.0),
    ],
)
def test_level_on_the_common_scale(name, limits, level, common):
    scale = instrument(name).scale(*limits)
    assert scale.to_common(level) == pytest.approx(common, rel=1e-12)
    assert scale.from_common(common) == pytest.approx(level, rel=1e-12)


def test_direction_turns_changes_but_not_spreads():
    koos = instrument("KOOS_pain").scale()
    assert koos.change_to_common(14.9) == -14.9
    assert koos.spread_to_common(14.9) == 14.9
    oxford = instrument("OKS").scale()
    assert oxford.change_to_common(4.8) == pytest.approx(-10.0)
    assert oxford.spread_to_common(4.8) == pytest.approx(10.0)


def test_wanted_direction_chooses_the_form():
    assert instrument("WOMAC_total").scale(high=100, higher_is_better=True).to_common(100.0) == 0.0
    assert instrument("WOMAC_total").scale(high=100).to_common(100.0) == 100.0


@pytest.mark.parametrize(
    ("name", "indication", "kind", "value", "reference_id"),
    [
        ("VAS", "knee_oa", "within_person", 14.0, "bensa_2024"),
        ("NRS", "knee_oa", "within_person", 18.0, "bennell_2021"),
        ("WOMAC_pain", "knee_oa", "within_person", 19.7, "mcalindon_2017"),
        ("VAS", "disc_degeneration", "within_person", 15.0, "ostelo_2008"),
        ("NRS", "chronic_low_back_pain", "within_person", 20.0, "ostelo_2008"),
        ("ODI", "disc_degeneration", "within_person", 10.0, "ostelo_2008"),
        ("RMDQ", "chronic_low_back_pain", "within_person", 100 * 5 / 24, "ostelo_2008"),
        ("VAS", "disc_degeneration", "between_group", 15.0, "hayden_2021"),
    ],
)
def test_important_difference(name, indication, kind, value, reference_id):
    found = mcid(name, indication, kind)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.reference_id == reference_id


@pytest.mark.parametrize(
    ("name", "indication"), [("VAS", "other"), ("Lysholm", "knee_oa"), ("ODI", "knee_oa")]
)
def test_no_important_difference_is_made_up(name, indication):
    assert mcid(name, indication) is None


def test_every_instrument_is_reached_by_name_and_label_in_any_spelling():
    for entry in instruments():
        for spelling in (entry.name, entry.label, entry.name.upper().replace("_", " ")):
            assert instrument(spelling) is entry


def test_vocabulary_of_the_table():
    names = [entry.name for entry in instruments()]
    assert len(names) == len(set(names))
    for entry in instruments():
        assert entry.kind in ("score", "percent", "physical", "ratio")
        assert (entry.kind == "score") == bool(entry.scales)


def test_arrays_keep_their_shape_and_plain_numbers_stay_plain():
    scale = Scale("VAS", 0, 10)
    levels = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(scale.to_common(levels), 10 * levels)
    assert type(scale.to_common(3.0)) is float


@pytest.mark.parametrize(
    "bad", [10.1, -0.1, float("nan"), float("inf"), np.array([1.0, 11.0]), np.array([np.nan])]
)
def test_levels_off_the_scale_are_refused(bad):
    with pytest.raises(
        InputError, match=r"VAS = .* is (off the scale|not a finite number); allowed: 0 to 10"
    ):
        Scale("VAS", 0, 10).to_common(bad)


def test_changes_and_spreads_have_their_own_limits():
    scale = Scale("VAS", 0, 10)
    assert scale.change_to_common(-10.0) == -100.0
    with pytest.raises(InputError, match="allowed: -10 to 10"):
        scale.change_to_common(-10.5)
    with pytest.raises(InputError, match="allowed: 0 or more"):
        scale.spread_to_common(np.array([2.0, -0.5]))
    with pytest.raises(InputError, match="not a finite number"):
        scale.spread_from_common(float("inf"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: instrument("womak pain"), "nearest: WOMAC_pain"),
        (
            lambda: instrument("ODI").scale(high=50),
            "has no form with high 50; allowed: 0 to 100, lower better",
        ),
        (lambda: instrument("joint_space_width_mm").scale(), "is a physical measure"),
        (lambda: instrument("responder_VAS_30pct").scale(), "is a percent measure"),
        (lambda: mcid("VAS", "knee"), "indication = knee is not known"),
        (lambda: mcid("VAS", "knee_oa", "both"), "allowed: within_person, between_group"),
        (lambda: Scale("x", 10, 0), "limits that do not enclose a range"),
        (lambda: Scale("x", 0, float("inf")), "limits that do not enclose a range"),
    ],
)
def test_refusals_say_what_is_allowed(call, message):
    with pytest.raises(InputError, match=message):
        call()
