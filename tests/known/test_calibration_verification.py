"""What a validation checks of the machinery, and that each check can fail."""

import re
from dataclasses import replace

import numpy as np
import pytest

from models.made_chains import made_chains
from stemtrial.calibration import verification
from stemtrial.calibration.fit import Settings
from stemtrial.calibration.fitmodel import FitModel
from stemtrial.calibration.sampling import Chain
from stemtrial.calibration.simulated import made_problem
from stemtrial.mechanism import reference


@pytest.fixture(scope="module")
def fit():
    return made_chains(FitModel(made_problem()), Settings(chains=2, draws=30), 1)


def test_courses_of_a_fit_are_those_of_the_adaptive_reference(fit):
    found = verification.numerical_error(fit, 1, arms=4)
    assert found.verdict == "met"
    assert "4 arms" in found.result
    assert "32 patients" in found.result


def test_courses_that_are_off_are_found(fit, monkeypatch):
    solve = reference.solve

    def shifted(*arguments, **more):
        course = solve(*arguments, **more)
        return replace(course, pain=course.pain + 1.0)

    monkeypatch.setattr(verification.reference, "solve", shifted)
    assert verification.numerical_error(fit, 1, arms=1).verdict == "not met"


class Drawing:
    """Stands in for a sampler whose chains are equal or are not."""

    def __init__(self, *offsets):
        self.offsets = list(offsets)

    def chain(self, seed, draws, shape):
        z = np.random.default_rng(seed).standard_normal((draws, 3)) + self.offsets.pop(0)
        return Chain(z, z.sum(axis=1), np.zeros(draws, bool), np.ones(draws, int), 0.1)


def test_draws_of_one_seed_are_compared_bit_by_bit():
    assert verification.same_draws(Drawing(0.0, 0.0), None, 3).verdict == "met"
    found = verification.same_draws(Drawing(0.0, 1e-15), None, 3)
    assert found.verdict == "not met"
    assert "differ by up to" in found.result


WEN = {6: 2 * -4.37, 8: 2 * -4.57, 12: 2 * -4.70}
"""Twice Table 2 of Wen 2022 at baseline 25 of 50, by week."""
BOUCHER = {2: -8.99, 6: -8.43, 8: -8.31, 12: -8.19}
"""Ten times the difference of the two courses of Boucher 2018 (``test_reference_models``), by week."""


def test_comparators_are_held_against_published_models(monkeypatch):
    """At the middle of the prior."""
    made = made_chains(FitModel(made_problem()), Settings(chains=1, draws=2), 1, spread=0.0)
    found = verification.comparators(made)
    assert found.verdict == "met"
    said = [(float(x), int(w)) for x, w in re.findall(r"model says (-[0-9.]+) \(week ([0-9]+)", found.result)]
    for (value, week), table in zip(said, (WEN, BOUCHER), strict=True):
        assert value == pytest.approx(table[week], abs=0.06)
    monkeypatch.setattr(verification, "MOST_GAP", 1e-3)
    assert verification.comparators(made).verdict == "not met"
