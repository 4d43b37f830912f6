"""The page of a fit: the numbers of its document, what was not checked said, text escaped, the same bytes each time."""

import copy
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from models.made_arms import made_trials
from models.made_fit import made_fit
from stemtrial.calibration.holdout import leave_one_trial_out
from stemtrial.calibration.scores import ecdf_test
from stemtrial.errors import InputError
from stemtrial.report.calibrationcontract import parse_fit
from stemtrial.report.calibrationfigures import contraction, predictive, ranks, transforms
from stemtrial.report.calibrationpage import findings, honest, parts, render
from stemtrial.report.wording import number, percent


@pytest.fixture(scope="module")
def document():
    return made_fit()


@pytest.fixture(scope="module")
def fit(document):
    return parse_fit(document)


@pytest.fixture(scope="module")
def html(document):
    return render(document)


def test_same_document_same_page_and_nothing_from_elsewhere(document, html):
    assert render(copy.deepcopy(document)) == html
    assert not re.search(r'(src|href)="(?!#|data:|https://doi\.org|https://pmc)', html)
    assert "<script" not in html


def test_text_of_the_document_is_escaped(html):
    assert "Trial 0 <2020>" not in html
    assert "Trial 0 &lt;2020&gt;" in html
    assert "&lt;b&gt;" in html


def test_every_section_stands_in_the_contents_and_every_figure_has_its_numbers(fit, html):
    for part in parts(fit):
        assert f'<a href="#{part.key}">{part.title}' in html
        assert f'id="{part.key}"' in html
    keys = [part.figure.key for part in parts(fit) if part.figure]
    assert keys == ["contraction", "predictive", "pit", "ranks"]
    for place in range(1, 5):
        assert f"Numbers behind figure {place}" in html


def test_drawings_are_whole_and_described(fit):
    for part in parts(fit):
        for panel in part.figure.panels if part.figure else ():
            root = ET.fromstring(str(panel.svg))
            assert root.get("role") == "img"
            assert len(root.get("aria-label")) > 20


def test_numbers_on_the_page_are_those_of_the_document(document, html):
    for s in document["held_out"]["scores"]:
        assert f"{number(s['crps'], 2)} ({number(s['crps_se'], 2)})" in html
        assert f"{number(s['crps_by_trial'], 2)} ± {number(s['crps_by_trial_se'], 2)}" in html
        for c in s["coverage"]:
            assert percent(c["share"]) in html
    for s in document["structures"]:
        assert number(s["elpd"]) in html
    for item in document["credibility"]["limitations"]:
        assert item in html


def test_contraction_rows_are_most_informed_first_and_counted(fit):
    figure = contraction(fit.constants)
    shrunk = [row[-1] for row in figure.panels[0].table.rows]
    assert shrunk == ["82\u202f%", "55\u202f%", "47\u202f%", "31\u202f%", "4\u202f%", "2\u202f%"]
    assert "4 of 6 constants contract" in figure.description


def test_predictive_figure_counts_what_lies_in_the_bands(document):
    """One arm whose three means lie inside both bands, between them, and outside."""
    made = copy.deepcopy(document)
    made["predictive"] = made["predictive"][:1]
    made["predictive"][0]["arms"] = made["predictive"][0]["arms"][:1]
    arm = made["predictive"][0]["arms"][0]
    arm |= {"months": [1.0, 5.0], "q025": [-20, -24], "q25": [-12, -16], "q50": [-10, -14], "q75": [-8, -12],
            "q975": [0, -4]}  # fmt: skip
    arm["observed"] = [{"month": 3.0, "value": v, "se": 1.0} for v in (-12.0, -18.0, -40.0)]
    figure = predictive(parse_fit(made).predictive)
    assert "33\u202f% lie in the 50 % and 67\u202f% in the 95 % bands" in figure.description
    assert [row[3:] for row in figure.panels[0].table.rows] == [
        ("−12.0", "−14.0 to −10.0", "−22.0 to −2.0")
    ] * 3
    assert str(figure.panels[0].svg).count("<circle") == 3


def test_ranks_and_transforms_print_their_tests(document, fit):
    found = {row[0]: row[1] for row in ranks(fit.simulation_based).panels[0].table.rows}
    for symbol, values in document["simulation_based"]["ranks"].items():
        p = ecdf_test(np.array(values), 99).p_value
        assert found[symbol] == ("<\u202f0.001" if p < 0.001 else number(p, 3))
    assert found["k_B"] == "<\u202f0.001"
    for panel in transforms(fit.held_out).panels:
        assert [row[0] for row in panel.table.rows] == ["pooled mean", "time course", "mechanism"]


@pytest.mark.parametrize(
    ("shares", "by_trial", "expected"),
    [
        ((0.5, 0.8, 0.95), (0.5, 0.8, 0.95), (True, True)),
        ((0.39, 0.8, 0.95), (0.5, 0.8, 0.95), (False, True)),
        ((0.5, 0.8, 0.95), (0.5, 0.8, 1.0), (True, False)),
        ((0.5, 0.8, 0.89), (0.61, 0.8, 0.95), (False, False)),
    ],
)
def test_coverage_is_honest_within_its_limits(fit, shares, by_trial, expected):
    score = next(s for s in fit.held_out.scores if s.predictor == "mechanism")
    coverage = tuple(
        c.model_copy(update={"share": share}) for c, share in zip(score.coverage, shares, strict=True)
    )
    made = score.model_copy(update={"coverage": coverage, "coverage_by_trial": by_trial})
    assert honest(made) == expected


def test_what_leave_one_out_found_can_be_shown(document):
    def normal(training, held_out, rows, draws, seed):
        return np.random.default_rng(seed).normal(-15, 8, (draws, len(rows)))

    predictors = {"pooled mean": normal, "mechanism": normal}
    found = leave_one_trial_out(made_trials(6, 1), predictors, draws=50, seed=1, bootstrap=50)
    made = json.loads(json.dumps({**document, "held_out": found.as_dict("mechanism")}, allow_nan=False))
    page = render(made)
    own = found.of("mechanism", "arm")
    assert f"{number(own.crps, 2)} ({number(own.crps_se, 2)})" in page
    assert f"{own.rows} ({own.trials})" in page


def test_the_summary_says_who_won_and_what_failed(document):
    """By the mean over trials, with the standard error and interval of the difference."""
    said = " ".join(findings(parse_fit(document)))
    assert "CRPS of 7.00 points is better than the 7.50" in said
    assert "(time course): a difference of −0.50 ± 0.30 (95 % interval −1.10 to 0.10, within noise)" in said
    made = copy.deepcopy(document)
    for s in made["held_out"]["scores"]:
        if s["predictor"] == "mechanism":
            s["crps_by_trial"] = 9.5
    made["diagnostics"][0]["met"] = False
    said = " ".join(findings(parse_fit(made)))
    assert "CRPS of 9.50 points is worse than the 7.50" in said
    assert "did not converge, so nothing below can be relied on: Largest R-hat 1.004" in said


def test_what_was_not_checked_says_so(document):
    checks = ("diagnostics", "constants", "predictive", "held_out", "simulation_based", "structures")
    bare = {k: v for k, v in document.items() if k not in (*checks, "credibility")}
    page = render(bare)
    assert page.count("Not available: this check was not run.") == 7
    assert "Diagnostics of the sampler are not available." in page
    assert "How well it predicts trials it has not seen is not available." in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("title"), "title field required"),
        (lambda d: d["constants"][0]["prior"].update(median=99.0), "constants.0.prior median lies outside"),
        (lambda d: d["predictive"][0]["arms"][0]["q25"].pop(), "quantiles and months differ"),
        (lambda d: d["predictive"][0]["arms"][0]["months"].reverse(), "months do not rise"),
        (lambda d: d["held_out"].update(mechanism="other"), "no score of other"),
        (lambda d: d["simulation_based"]["ranks"]["k_B"].append(3), "differ in their number of fits"),
        (lambda d: d["simulation_based"].update(draws=50), "a rank lies outside 0 to 50"),
        (lambda d: d["structures"][0].update(elpd=float("nan")), "structures.0.elpd = nan"),
    ],
)
def test_a_damaged_document_is_named(document, change, message):
    made = copy.deepcopy(document)
    change(made)
    with pytest.raises(InputError, match=re.escape(message)):
        render(made)
