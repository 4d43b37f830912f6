"""Sizes of a trial against runs of trials of exactly those sizes."""

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.trial import operating
from stemtrial.trial.boundaries import boundaries
from stemtrial.trial.curves import Curve
from stemtrial.trial.doseresponse import Range
from stemtrial.trial.groupsequential import POCOCK, GroupSequential
from stemtrial.trial.operating import boundary_factor
from stemtrial.trial.replicates import Plan, simulate
from stemtrial.trial.resizing import enlarged, resized
from stemtrial.trial.search import search

SEED = 11


def test_every_size_is_the_trial_of_that_size(small):
    found = search(small, [20, 40, 80], 30, SEED, 2)
    for i, size in enumerate((20, 40, 80)):
        trial = Plan.of(enlarged(small.trial, size / 40))
        assert sum(arm.n for arm in trial.trial.arms.values()) == found.curves["power"][found.main].sizes[i]
        run = simulate(trial, SEED, np.arange(30))
        for scenario, name in (
            ("assurance", "success"),
            ("power", "typical_success"),
            ("type_one_error", "null_success"),
        ):
            assert found.curves[scenario][found.main].share[i] == run[name].mean()


def test_size_for_a_target_on_a_known_curve():
    """Success shares 0.2, 0.4, 0.8 at 100, 200, 300: 0.6 is reached at 250."""
    success = np.zeros((10_000, 3), bool)
    for i, share in enumerate((0.2, 0.4, 0.8)):
        success[: int(share * 10_000), i] = True
    answer = Curve.of(np.array([100, 200, 300]), success).size_for(0.6)
    assert answer.size == 250
    assert 245 < answer.low < 250 < answer.high < 255
    assert Curve.of(np.array([100, 200, 300]), success).size_for(0.9).size is None


def test_a_dip_by_chance_is_pooled():
    success = np.zeros((1000, 3), bool)
    for i, share in enumerate((0.5, 0.4, 0.6)):
        success[: int(share * 1000), i] = True
    curve = Curve.of(np.array([10, 20, 30]), success)
    assert curve.size_for(0.45).size == 10
    assert curve.size_for(0.6).size == 30


def test_wilson_interval():
    """Wilson (1927) for 8 of 10: 0.490 to 0.943."""
    success = np.arange(10)[:, None] < 8
    curve = Curve.of(np.array([1]), success)
    assert np.allclose([curve.low[0], curve.high[0]], [0.4902, 0.9433], atol=5e-5)


@pytest.mark.parametrize("sizes", [[40, 20], [20, 20], [4, 40]])
def test_sizes_that_make_no_sense(small, sizes):
    with pytest.raises(InputError, match="must increase and give every arm four patients"):
        search(small, sizes, 10, SEED, 1)


def with_looks(plan, **question):
    data = plan.trial.model_dump(mode="json")
    data["question"] |= {"sides": 1, "alpha": 0.025, **question}
    return Plan.of(type(plan.trial).model_validate(data))


def test_sizes_with_looks_are_the_trials_of_those_sizes(small):
    """Success, where they stop and how many they analyse, all the same as in runs of their own."""
    futility = {"kind": "non_binding", "z": [0.0]}
    plan = with_looks(small, interim={"at": [0.5], "spending": "pocock", "futility": futility})
    found = search(plan, [40, 80], 40, SEED, 2)
    for i, size in enumerate((40, 80)):
        run = simulate(Plan.of(enlarged(plan.trial, size / 40)), SEED, np.arange(40))
        for scenario, prefix in (("assurance", ""), ("power", "typical_"), ("type_one_error", "null_")):
            assert found.curves[scenario][found.main].share[i] == run[f"{prefix}success"].mean()
            assert found.stopping[scenario][i, 0] == (run[f"{prefix}look"] == 0).mean()
            assert np.isclose(found.expected[scenario][i], run[f"{prefix}randomised"].mean())


def test_allocation_is_that_of_trials_with_those_arms(small):
    found = search(small, [40], 30, SEED, 2, shares=(0.4, 0.6)).allocation
    assert found.n == 40
    for i, experimental in enumerate((16, 24)):
        run = simulate(
            Plan.of(resized(small.trial, {"saline": 40 - experimental, "cells": experimental})),
            SEED,
            np.arange(30),
        )
        assert found.curves["assurance"].share[i] == run["success"].mean()
    assert found.best in (0.4, 0.6)


def test_the_factor_on_the_bounds_of_an_exact_test_is_one(small):
    """Normal readings: the calibrated bounds are the theoretical ones, within the interval (false alarm 5 % each)."""
    rng = np.random.default_rng(6)
    futility = {"kind": "binding", "z": [0.2]}
    for interim in (
        {"at": [0.5], "spending": "pocock"},
        {"at": [0.5], "spending": "pocock", "futility": futility},
    ):
        plan = with_looks(small, interim=interim)
        looks, n = plan.looks, 40_000
        half, rest = rng.normal(size=(2, n))
        z = np.stack([half, (half + rest) / np.sqrt(2)], axis=1)
        path = np.stack([-z, np.ones_like(z), np.full_like(z, 1e9)], axis=2)
        found = boundary_factor(plan, {"typical_path": path, "typical_complete": np.zeros(n)})
        assert found["low"] - 0.01 < 1 < found["high"] + 0.01
        assert found["high"] - found["low"] < 0.1
        assert looks.number == 2


def everything(small):
    """Four arms with three comparisons at two looks, a factorial design and a dose range."""
    data = small.trial.model_dump(mode="json")
    data["arms"]["saline"]["n"] = data["arms"]["cells"]["n"] = 12
    for name, dose in (("high", 100.0), ("both", 200.0)):
        cells = data["arms"]["cells"]["treatments"][0]
        (kind,) = cells
        data["arms"][name] = {"n": 12, "treatments": [{kind: cells[kind] | {"dose_million": dose}}]}
    data["question"] |= {
        "sides": 1,
        "alpha": 0.2,
        "also_compare": [["high", "saline"], ["both", "saline"]],
        "multiplicity": "holm",
        "interim": {"at": [0.5], "spending": "pocock"},
        "stop_when": "all_decided",
        "factorial": {"cells": ["cells", "both"], "exercise": ["high", "both"], "neither": "saline"},
        "dose_response": {
            "arms": ["saline", "cells", "high", "both"],
            "candidates": [{"shape": "linear"}, {"shape": "emax", "ed50": 50.0}],
            "target": 3.0,
        },
    }
    return Plan.of(type(small.trial).model_validate(data))


def test_every_comparison_factor_and_dose_is_that_of_a_trial_of_that_size(small):
    plan = everything(small)
    found = search(plan, [48, 96], 25, SEED, 2)
    for i, size in enumerate((48, 96)):
        own = Plan.of(enlarged(plan.trial, size / 48))
        run = simulate(own, SEED, np.arange(25))
        for scenario, prefix in (("assurance", ""), ("power", "typical_"), ("type_one_error", "null_")):
            rejected, factors = run[f"{prefix}rejected"], run[f"factorial/{prefix}shown"]
            tested = (run[f"dose/{prefix}z"] > Range.of(own.trial).critical).any(axis=1)
            expected = [*rejected.T, rejected.any(axis=1), rejected.all(axis=1), *factors.T, tested]
            expected += [run[f"dose/{prefix}picked"] == k for k in (1, 2, 3)]
            shares = [one.curves[scenario].share[i] for one in found.further]
            assert shares == [happened.mean() for happened in expected]
            assert found.curves[scenario][found.main].share[i] == run[f"{prefix}success"].mean()
            assert np.isclose(found.expected[scenario][i], run[f"{prefix}randomised"].mean())
            assert found.stopping[scenario][i, 0] == (run[f"{prefix}look"] == 0).mean()
    labels = [one.label for one in found.further]
    assert labels[:5] == [
        "cells minus saline",
        "high minus saline",
        "both minus saline",
        "any comparison",
        "all comparisons",
    ]
    assert labels[5:] == [
        "effect of cells", "effect of exercise", "interaction", "dose response shown",
        "cells picked", "high picked", "both picked",
    ]  # fmt: skip
    assert any(0 < one.curves["assurance"].share[1] < 1 for one in found.further)


def test_summary_of_shared_looks_adds_up(small):
    plan = everything(small)
    results = simulate(plan, SEED, np.arange(40))
    looks, compared = operating.looks(plan, results), operating.comparisons(plan, results)
    for scenario in ("assurance", "power", "type_one_error"):
        assert sum(look["stopping"][scenario]["ends_here"] for look in looks) == pytest.approx(1)
        shown = sum(look["stopping"][scenario]["efficacy"] for look in looks)
        assert shown == pytest.approx(operating.together(plan, results)[scenario]["any"]["value"])
        for one in compared:
            assert sum(one["by_look"][scenario]) == pytest.approx(one[scenario]["value"])
    shares = [[part["share"] for part in look["shares"]] for look in looks]
    assert shares == [[1 / 3, 1 / 2, 1]] * 2
    for look in looks:
        bounds = [part["efficacy_z"] for part in look["shares"]]
        assert look["efficacy_z"] == bounds[0] > bounds[1] > bounds[2]
    alone = boundaries(GroupSequential((0.5, 1.0), 0.2 / 3, 1, POCOCK))
    assert [look["efficacy_z"] for look in looks] == pytest.approx(alone.upper.tolist())
    assert 0 <= operating.error_at_margin(plan, results)["value"] <= 0.5
    by_estimand = operating.estimands(plan, results)[plan.trial.question.estimand]
    assert by_estimand["assurance"]["value"] == results["success"].mean()
