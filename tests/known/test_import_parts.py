"""The readers of free text in a registry record, against readings made by hand."""

import pytest

from stemtrial.evidence.imports import groups, measures, times, wording
from stemtrial.evidence.imports.dispersion import Kind, kind, standard_error
from stemtrial.evidence.imports.node import Node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Baseline, 6 months", (0, 6)),
        ("Baseline, 1, 3 and 6 months", (0, 1, 3, 6)),
        ("week 24", (5.52,)),
        ("24 weeks after injection", (5.52,)),
        ("12 mo", (12,)),
        ("12-month visit", (12,)),
        ("Month 6", (6,)),
        ("Day 7", (0.23,)),
        ("one year", (12,)),
        ("1.5 years", (18,)),
        ("Months 3, 6", (3, 6)),
        ("Week 4 Day 2", ()),
        ("Erythema", ()),
        ("100 mm", ()),
        ("", ()),
    ],
)
def test_months_of_a_text(text, expected):
    assert times.months(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Baseline, 6 months", 6),
        ("Baseline", 0),
        ("Week 24", 5.52),
        ("Baseline, 1 month, 6 months", None),
        ("up to 12 months", None),
        ("6-12 months", None),
        ("Pain", None),
    ],
)
def test_a_visit_is_one_time_and_no_span(text, expected):
    assert times.visit(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("STANDARD_DEVIATION", Kind("sd")),
        ("Standard Deviation", Kind("sd")),
        ("Standard Error", Kind("se")),
        ("STANDARD_ERROR_OF_MEAN", Kind("se")),
        ("95% Confidence Interval", Kind("ci", 95)),
        ("90% Confidence Interval", Kind("ci", 90)),
        ("97.5% Confidence Interval", Kind("ci", 97.5)),
        ("Inter-Quartile Range", Kind("iqr")),
        ("INTER_QUARTILE_RANGE", Kind("iqr")),
        ("Full Range", Kind("other")),
        ("Geometric Coefficient of Variation", Kind("other")),
    ],
)
def test_names_of_spreads(text, expected):
    assert kind(text) == expected


@pytest.mark.parametrize(
    ("low", "high", "level", "n", "printed"),
    [  # 4.08 / (2 t) with t from a printed table: 95 %, 24 df, 2.064; 90 %, 29 df, 1.699; 90 %, 13 df, 1.771
        (0.0, 4.08, 95, 25, 4.08 / 4.128),
        (0.0, 4.08, 90, 30, 4.08 / 3.398),
        (7.6, 10.4, 90, 14, 2.8 / 3.542),
    ],
)
def test_standard_error_of_an_interval(low, high, level, n, printed):
    assert standard_error(low, high, level, n) == pytest.approx(printed, rel=4e-4)


@pytest.mark.parametrize(
    ("title", "description", "expected"),
    [
        ("Change in VAS Pain", "", "VAS"),
        ("Visual Analogue Scale for pain at rest", "", "VAS_rest"),
        ("Pain", "numeric rating scale of pain, 0-10", "NRS"),
        ("WOMAC Function at 12 Months", "", "WOMAC_function"),
        ("WOMAC", "", None),
        ("WOMAC pain and stiffness", "", None),
        ("KOOS Quality of Life", "", "KOOS_QoL"),
        ("VAS and ODI", "", None),
        ("EQ-5D VAS", "pain", None),
        ("Global assessment, VAS of pain", "", None),
        ("Oswestry Disability Index", "", "ODI"),
        ("Cartilage volume", "", None),
    ],
)
def test_instruments(title, description, expected):
    assert measures.recognise(title, description).what == expected


@pytest.mark.parametrize(
    ("name", "text", "limits", "higher_is_better"),
    [
        ("VAS", "0 = no pain, 100 = worst pain", "0 to 100", False),
        ("VAS", "10 cm line, 0-10; higher is worse", "0 to 10", False),
        ("WOMAC_pain", "Pain 0-20, stiffness 0-8, function 0-68", "0 to 20", False),
        ("WOMAC_total", "range 0 to 96, higher scores mean worse", "0 to 96", False),
        ("KOOS_pain", "from 0 to 100, higher scores are better", "0 to 100", True),
        ("KOOS_ADL", "0-100, higher scores are worse", "0 to 100", False),
    ],
)
def test_scales_stated(name, text, limits, higher_is_better):
    scale, _ = measures.scale_of(name, text)
    assert (scale.limits, scale.higher_is_better) == (limits, higher_is_better)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("VAS", "measured at 0-6 months", "no range"),
        ("VAS", "0-7", "no known form"),
        ("WOMAC_pain", "items 0-10, sum 0-50", "several ranges"),
        ("WOMAC_total", "0-100", "both directions"),
        ("VAS", "0-100, higher is better", "against every known form"),
        ("VAS", "0-100, higher is worse; higher is better", "both that higher"),
        ("ODI", "", "no range"),
    ],
)
def test_scales_left_open(name, text, reason):
    scale, why = measures.scale_of(name, text)
    assert scale is None
    assert reason in why


@pytest.mark.parametrize(
    ("title", "description", "unit", "frame", "visits", "expected"),
    [
        ("Change in VAS", "", "mm", "Baseline, 6 months", 0, True),
        ("VAS pain", "change from baseline", "mm", "6 months", 0, True),
        ("VAS pain", "", "mm", "6 months", 0, False),
        ("VAS pain", "", "mm", "Baseline, 6 months", 2, False),
        ("VAS pain", "", "mm", "Baseline, 6 months", 0, None),
        ("Reduction in VAS", "", "mm", "6 months", 0, None),
        ("Change in VAS", "", "percent change", "6 months", 0, None),
        ("VAS pain", "improvement of pain", "mm", "6 months", 0, None),
    ],
)
def test_level_or_change(title, description, unit, frame, visits, expected):
    assert measures.is_change(title, description, unit, frame, visits)[0] is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 million cells", (50,)),
        ("50 x 10^6 cells (50 million)", (50,)),
        ("1×10⁸ MSC", (100,)),
        ("10^7 cells", (10,)),
        ("10 million or 100 million", (10, 100)),
        ("50-100 million cells", ()),
        ("2 million cells/kg", ()),
        ("10 x 10^6 cells per mL", ()),
        ("50 x 106 cells", ()),
        ("passage 3", ()),
    ],
)
def test_doses(text, expected):
    assert wording.doses(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Allogeneic UC-MSC in saline", {"cell_therapy"}),
        ("Saline placebo", {"saline"}),
        ("Placebo", {"placebo"}),
        ("MSC-derived exosomes", set()),
        ("Triamcinolone with hyaluronic acid", {"corticosteroid", "hyaluronic_acid"}),
        ("Platelet-rich plasma", {"prp"}),
        ("Vitamin C", set()),
    ],
)
def test_interventions(name, expected):
    assert wording.interventions(name) == expected


def _groups(*titles):
    return [Node({"id": f"OG{place:03d}", "title": title}, "") for place, title in enumerate(titles)]


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (("Placebo", "MSC"), ["placebo", "msc"]),
        (("Saline placebo", "Allogeneic MSC"), ["placebo", "msc"]),
        (("MSC", "MSC high dose"), ["msc", "high"]),
        (("MSC or placebo",), [None]),
        (("Saline placebo", "Placebo, open"), [None, None]),
        (("Total", "Group A"), [None, None]),
    ],
)
def test_groups_are_linked_by_title_or_not_at_all(titles, expected):
    arms = {"placebo": "Placebo", "msc": "MSC", "high": "MSC high dose"}
    assert [link.arm_id for link in groups.link(_groups(*titles), arms, {}).values()] == expected


def test_what_the_user_says_of_a_group_counts():
    found = groups.link(_groups("Group A"), {"msc": "MSC"}, {"group a": "msc"})
    assert (found["OG000"].arm_id, found["OG000"].how) == ("msc", "read")
