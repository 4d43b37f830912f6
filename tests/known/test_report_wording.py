"""Sentences about an effect: size and certainty in the words of GRADE."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from stemtrial.report import wording
from stemtrial.report.contract import Report, Summary
from stemtrial.report.page import linked

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report"
REPORT = json.loads((FIXTURE / "report.json").read_text(encoding="utf-8"))
SUMMARY = json.loads((FIXTURE / "summary.json").read_text(encoding="utf-8"))


def finding(estimate: float, **changes: Any) -> str:
    summary = copy.deepcopy(SUMMARY)
    summary["contrast"]["estimate"] = estimate
    return wording.finding(Report.model_validate(REPORT | changes), Summary.model_validate(summary))


@pytest.mark.parametrize(
    ("certainty", "estimate", "words"),
    [
        ("high", -20, "Pain at month 12 is lower with expanded"),
        ("high", -6, "Pain at month 12 is slightly lower with expanded"),
        ("moderate", -6, "Pain at month 12 is probably slightly lower with expanded"),
        ("low", -6, "Pain at month 12 may be slightly lower with expanded"),
        ("low", 16, "Pain at month 12 may be higher with expanded"),
        ("moderate", -2, "There is probably little or no difference in pain at month 12"),
        ("very_low", -20, "It is very uncertain whether pain at month 12 is lower"),
        (None, -20, "Pain at month 12 is, in simulation, lower"),
    ],
)
def test_sentence_joins_size_and_certainty(certainty: str | None, estimate: float, words: str) -> None:
    sentence = finding(estimate, calibration="calibrated to 96 trials", certainty=certainty)
    assert sentence.startswith(words)
    assert ("has not been rated" in sentence) == (certainty is None)


@pytest.mark.parametrize(
    "calibration", ["prior, not calibrated", "Prior", "not calibrated", "uncalibrated", ""]
)
def test_nothing_but_calibrated_counts_as_calibrated(calibration: str) -> None:
    sentence = finding(-20, calibration=calibration, certainty="high")
    assert sentence.startswith("It is very uncertain whether pain")
    assert "not calibrated to data" in sentence


def test_numbers_keep_sign_and_never_show_minus_zero() -> None:
    printed = [wording.number(value) for value in (-0.04, 0.04, -0.06, 1234.5)]
    assert printed == ["0.0", "0.0", "−0.1", "1,234.5"]
    assert wording.interval(-3, -1.04) == "−3.0 to −1.0"
    assert wording.constant("see meaning") == "see meaning"
    assert wording.constant(0.0) == "0"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Arthritis Rheum 2013 (doi 10.1002/art.37960)", "https://doi.org/10.1002/art.37960"),
        ("see 10.1136/bmj-2023.001.", "https://doi.org/10.1136/bmj-2023.001"),
        ("BMC Vet Res (PMC4815220)", "https://pmc.ncbi.nlm.nih.gov/articles/PMC4815220"),
    ],
)
def test_sources_link_to_their_publication(text: str, address: str) -> None:
    assert f'<a href="{address}">' in linked(text)


def test_sources_cannot_break_out_of_their_link() -> None:
    written = linked('10.1000/a"onclick="x <b>')
    assert written.count('"') == 2
    assert "<b>" not in written
