"""The whole grid of sentences, and each judgement on both sides of its threshold."""

from dataclasses import replace
from itertools import product

import pytest

from stemtrial.evidence.certainty import Finding, optimal_information_size, profile
from stemtrial.evidence.wording import size_of, statement

VERBS = {
    ("high", "reduces"): "reduce",
    ("high", "increases"): "increase",
    ("moderate", "reduces"): "probably reduce",
    ("moderate", "increases"): "probably increase",
    ("low", "reduces"): "may reduce",
    ("low", "increases"): "may increase",
}
NEUTRAL = {"high": "make", "moderate": "probably make", "low": "may make"}
DEGREE = {"large": " by a large amount", "moderate": "", "small": " slightly"}
NOUN = {"pain": "pain", "function": "limitation of function"}
GRID = list(product(("high", "moderate", "low", "very_low"), ("large", "moderate", "small", "trivial"),
                    ("reduces", "increases"), ("pain", "function")))  # fmt: skip


@pytest.mark.parametrize(("level", "size", "direction", "construct"), GRID)
def test_sentence(level, size, direction, construct):
    text = statement("X", "Y", construct, size=size, direction=direction, level=level, months="6 months")
    noun = NOUN[construct]
    if level == "very_low":
        expected = (
            f"The evidence is very uncertain about the effect of X on {noun} at 6 months, compared with Y."
        )
    elif size == "trivial":
        expected = f"Compared with Y, X {NEUTRAL[level]} little or no difference to {noun} at 6 months."
    else:
        expected = f"Compared with Y, X {VERBS[level, direction]} {noun}{DEGREE[size]} at 6 months."
    assert text == expected


@pytest.mark.parametrize(
    ("estimate", "size"),
    [
        (-20, "large"),
        (-19.9, "moderate"),
        (10, "moderate"),
        (9.9, "small"),
        (3.34, "small"),
        (-3.3, "trivial"),
    ],
)
def test_size_against_an_mcid_of_ten(estimate, size):
    assert size_of(estimate, 10.0) == size


CLEAN = Finding(
    treatment="cells",
    comparator="saline",
    construct="pain",
    estimate=-8.0,
    interval=(-11.0, -5.0),
    prediction=(-14.0, -2.0),
    i2=10.0,
    tau2=4.0,
    k=12,
    n=600.0,
    risk_of_bias={f"t{i}": "low" for i in range(12)},
    weights=None,
    sd=22.0,
    mcid=10.0,
    egger_p=0.5,
)


def judged(finding, domain):
    return next(j for j in profile(finding).judgements if j.domain == domain)


def test_clean_evidence_is_high():
    found = profile(CLEAN)
    assert (found.certainty, [j.down for j in found.judgements][:1]) == ("high", [0])
    assert all(j.down == 0 for j in found.judgements)
    assert profile(replace(CLEAN, randomised=False)).certainty == "low"


@pytest.mark.parametrize(
    ("domain", "change", "down", "number"),
    [
        (
            "risk of bias",
            {"risk_of_bias": dict(zip("abcd", ("low", "low", "low", "high"), strict=True))},
            1,
            0.25,
        ),
        ("risk of bias", {"risk_of_bias": dict(zip("abcde", ("low",) * 4 + ("high",), strict=True))}, 0, 0.2),
        ("risk of bias", {"risk_of_bias": {"a": "some", "b": "unclear"}}, 1, 0.5),
        (
            "risk of bias",
            {"risk_of_bias": dict(zip("abcd", ("some", "some", "high", "high"), strict=True))},
            2,
            0.75,
        ),
        (
            "risk of bias",
            {"risk_of_bias": {"a": "low", "b": "high"}, "weights": {"a": 9.0, "b": 1.0}},
            0,
            0.1,
        ),
        ("inconsistency", {"i2": 49.9}, 0, 49.9),
        ("inconsistency", {"i2": 50.0}, 1, 50.0),
        ("inconsistency", {"prediction": (-20.0, 3.4)}, 1, 10.0),
        ("inconsistency", {"prediction": (-20.0, 3.2)}, 0, 10.0),
        ("inconsistency", {"prediction": (-30.0, 15.0), "i2": 80.0}, 2, 80.0),
        ("inconsistency", {"prediction": (-30.0, 15.0), "interval": (-11.0, 1.0)}, 0, 10.0),
        ("imprecision", {"interval": (-9.9, 1.0)}, 0, 10.9),
        ("imprecision", {"interval": (-12.0, -3.0)}, 1, 9.0),
        ("imprecision", {"interval": (-12.0, -3.4)}, 0, 8.6),
        ("imprecision", {"n": 151.0}, 1, 6.0),
        ("imprecision", {"n": 152.0}, 0, 6.0),
        ("imprecision", {"interval": (-12.0, 1.0), "n": 60.0}, 2, 13.0),
        ("imprecision", {"interval": (-25.0, 10.0)}, 2, 35.0),
        ("indirectness", {"indirect": ("population",)}, 1, 1.0),
        ("indirectness", {"indirect": ("population", "dose", "product")}, 2, 3.0),
        ("publication bias", {"egger_p": 0.09}, 1, 0.09),
        ("publication bias", {"egger_p": 0.10}, 0, 0.10),
        ("publication bias", {"egger_p": None, "registered_without_results": 6}, 1, 1 / 3),
    ],
)
def test_judgement(domain, change, down, number):
    found = judged(replace(CLEAN, **change), domain)
    assert found.down == down
    assert found.number == pytest.approx(number)


def test_what_cannot_be_assessed_says_so():
    few = replace(CLEAN, k=9, egger_p=0.01)
    assert judged(few, "publication bias").concern == "not_assessable"
    one = replace(CLEAN, k=1, egger_p=None, i2=None, tau2=None, prediction=None)
    assert judged(one, "inconsistency").concern == "not_assessable"


def test_levels_add_up_and_end_at_very_low():
    bad = replace(CLEAN, risk_of_bias={"a": "high"}, i2=90.0, indirect=("dose",))
    assert profile(bad).certainty == "very_low"
    assert profile(replace(CLEAN, i2=60.0, indirect=("dose",))).certainty == "low"
    assert (
        profile(replace(CLEAN, i2=60.0)).sentence
        == "Compared with saline, cells probably reduce pain slightly."
    )


@pytest.mark.parametrize(("d", "total"), [(0.5, 126), (0.2, 785), (0.8, 50)])
def test_information_size(d, total):
    """Cohen's textbook 63, 393 and 25 a group, the normal approximation."""
    assert optimal_information_size(1.0, d) == pytest.approx(total, abs=1)
