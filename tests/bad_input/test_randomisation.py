"""Faults of how patients are put into arms, cross over and are seen: one message each, with its line."""

from pathlib import Path

import pytest

from stemtrial.documents import Document
from stemtrial.errors import InputError, Problem
from stemtrial.trial.protocol import Trial

EXAMPLE = (Path(__file__).parents[2] / "examples" / "knee_oa_cells_vs_saline.yaml").read_text(
    encoding="utf-8"
)
BLOCK = "randomisation: {method: block, block_sizes: [4], "
CROSS = "crossover: {from_arm: saline, to_arm: cells, from_month: 6, pain_above: 50, share: 0.3}"


def problems(top: str = "", conduct: str = "", old: str = "", new: str = "") -> tuple[Problem, ...]:
    """Faults of the example with an added section, an added line under conduct, and something replaced."""
    text = EXAMPLE.replace("conduct:\n", f"conduct:\n  {conduct}\n") if conduct else EXAMPLE
    text = text.replace(old, new) if old else text
    try:
        Document.parse(f"{text}\n{top}\n", "trial.yaml").validate(Trial)
    except InputError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("top", "field", "what", "hint"),
    [
        ("randomisation: {method: blocks}", "randomisation.method", "not in the vocabulary", "mean `block`"),
        ("randomisation: {method: block}", "randomisation.block_sizes", "is missing", "method: block"),
        (
            "randomisation: {method: fixed, block_sizes: [4]}",
            "randomisation.block_sizes",
            "no part of fixed",
            "",
        ),
        (
            "randomisation: {method: complete, strata: [sex], adjusted: true}",
            "randomisation.strata",
            "no part of complete",
            "blocks",
        ),
        (BLOCK + "strata: [sex]}", "randomisation.adjusted", "is missing", "adjusted: true"),
        (BLOCK + "adjusted: true}", "randomisation.adjusted", "has no strata", ""),
        (BLOCK + "strata: [sex, sex], adjusted: true}", "randomisation.strata[1]", "twice", "keep one"),
        (BLOCK + "strata: [pain], adjusted: true}", "randomisation.pain_above", "is missing", "60"),
        (BLOCK + "pain_above: 60}", "randomisation.pain_above", "no stratum is `pain`", ""),
        (BLOCK + "strata: [site], adjusted: true}", "randomisation.strata[0]", "no recruitment", "accrual"),
        (
            BLOCK + "strata: [weight], adjusted: true}",
            "randomisation.strata[0]",
            "not in the vocabulary",
            None,
        ),
        (
            "randomisation: {method: block, block_sizes: [4, 5]}",
            "randomisation.block_sizes[1]",
            "1:1",
            "simple ratio",
        ),
        (
            "randomisation: {method: block, block_sizes: [4, 4]}",
            "randomisation.block_sizes[1]",
            "twice",
            "keep",
        ),
        ("randomisation: {method: block, block_sizes: [600]}", "randomisation.block_sizes[0]", "shared", ""),
    ],
)
def test_faults_of_randomisation(top, field, what, hint):
    (problem,) = problems(top)
    assert problem.field == field
    assert what in str(problem)
    assert problem.line == len(EXAMPLE.splitlines()) + 2 - (not EXAMPLE.endswith("\n"))
    assert hint is None or hint in (problem.hint or "")


def test_more_strata_than_patients_can_fill():
    accrual = "accrual: {sites: 60, opening_every_months: 0, patients_per_site_month: 1}"
    (problem,) = problems(BLOCK + "strata: [site, sex, grade], adjusted: true}", accrual)
    assert problem.field == "randomisation.strata"
    assert "240 strata for 240 patients" in str(problem)
    assert problem.allowed == "up to 120 strata"


@pytest.mark.parametrize(
    ("conduct", "field", "what"),
    [
        (CROSS.replace("cells", "cell"), "conduct.crossover.to_arm", "is not an arm"),
        (CROSS.replace("cells", "saline"), "conduct.crossover.to_arm", "the arm they come from"),
        (CROSS.replace("6,", "5,"), "conduct.crossover.from_month", "not a visit"),
        (CROSS.replace("6,", "12,"), "conduct.crossover.from_month", "not a visit with another one after"),
        (CROSS.replace("0.3", "0"), "conduct.crossover.share", "out of range"),
        ("visit_window_days: 31", "conduct.visit_window_days", "out of range"),
        ("visit_window_days: -2", "conduct.visit_window_days", "out of range"),
    ],
)
def test_faults_of_crossover_and_windows(conduct, field, what):
    (problem,) = problems(conduct=conduct)
    assert problem.field == field
    assert what in str(problem)
    assert problem.line is not None


def test_windows_that_meet():
    (problem,) = problems(conduct="visit_window_days: 16", old="[1, 3, 6, 9, 12]", new="[1, 2, 6, 9, 12]")
    assert problem.field == "conduct.visit_window_days"
    assert "neighbouring visits meet" in str(problem)
    assert problem.allowed is not None
    assert problem.allowed.startswith("below 15.2")


def test_sections_left_out_do_not_enter_the_hash():
    """The protocol's hash of the example as it was before randomisation, windows and crossover could be declared."""
    plain = Document.parse(EXAMPLE).validate(Trial)
    known = "7e019e06963b6bc97aa395ab0ff13cc9d760f0ac7fa9f913632eb76fe916ae18"
    assert plain.hash == known
    for text in (EXAMPLE + "\n" + BLOCK + "}", EXAMPLE.replace("conduct:\n", f"conduct:\n  {CROSS}\n")):
        assert Document.parse(text).validate(Trial).hash != known
