"""Trials stopped at looks, simulated with a plain normal endpoint, against rpact's closed form.

``double/fixtures/rpact/make_simulated.R`` made the results. The normal readings go through the same analysis,
statistic and boundaries as those of virtual patients. rpact's own approximation (Student's test put on the normal
scale) is off by up to 0.003, which is allowed for.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from models.normal_trials import ALARM, REPLICATES, inside, normal_arm
from stemtrial.trial.operating import detectable_benefit, power_function
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan

APPROXIMATION = 0.003

FIXTURE = Path(__file__).parents[1] / "double" / "fixtures" / "rpact" / "simulated.json"
ROWS = json.loads(FIXTURE.read_text(encoding="utf-8"))["rows"]


def asked(plan: Plan, **question: object) -> Plan:
    """Return the plan of the same trial with 100 patients an arm and another question."""
    data = plan.trial.model_dump(mode="json")
    data["question"] |= question
    for arm in data["arms"].values():
        arm["n"] = 100
    return Plan.of(Trial.model_validate(data))


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['name']}, {r['effect']}")
def test_stopping_is_that_of_rpact(plan, row):
    interim = {"at": np.atleast_1d(row["at"]).tolist(), "spending": row["spending"], "gamma": row["gamma"]}
    if row["futility"]:
        z = [float(x) for x in np.atleast_1d(row["futility"]["z"])]
        interim["futility"] = {"kind": row["futility"]["kind"], "z": z}
    trial = asked(plan, interim=interim, sides=row["sides"], alpha=row["alpha"])
    rng = np.random.default_rng(17)
    control = normal_arm(trial, 50, rng, 100)
    treated = normal_arm(trial, 50 - row["effect"], rng, 100)
    found = trial.verdict(control, treated)
    for k, (reject, futile) in enumerate(
        zip(row["reject"], [*np.atleast_1d(row["futile"]), 0.0], strict=True)
    ):
        rejected = int(((found.shown | found.opposite) & (found.look == k)).sum())
        assert inside(rejected, reject, REPLICATES, APPROXIMATION)
        assert inside(int((found.futile & (found.look == k)).sum()), futile, REPLICATES, APPROXIMATION)
    n = 200 * np.array(trial.looks.design.information)[found.look]
    error = stats.norm.isf(ALARM / 2) * n.std() / np.sqrt(REPLICATES)
    assert abs(n.mean() - row["expected_n"]) < error + 200 * APPROXIMATION


@pytest.mark.parametrize(
    ("kind", "margin", "difference", "expected"),
    [
        ("superiority", 0.0, 0.0, 0.025),
        ("superiority", 4.0, -4.0, 0.025),
        ("non_inferiority", 5.0, 5.0, 0.025),
        ("equivalence", 12.0, 12.0, 0.025),
        ("equivalence", 12.0, -12.0, 0.025),
        ("non_inferiority", 5.0, 0.0, 0.420),
        ("non_inferiority", 5.0, -5.0, 0.940),
    ],
)
def test_margins_hold_their_level_and_power(plan, kind, margin, difference, expected):
    """Two arms of 100, SD 20: at the margin 2.5 %, else the power of the t test (R power.t.test: 0.420, 0.940)."""
    trial = asked(plan, hypothesis={"kind": kind, "margin": margin}, sides=2, alpha=0.05)
    rng = np.random.default_rng(3)
    control, treated = normal_arm(trial, 50, rng, 100), normal_arm(trial, 50 + difference, rng, 100)
    shown = trial.verdict(control, treated).shown
    assert inside(int(shown.sum()), expected, REPLICATES, APPROXIMATION)


@pytest.mark.parametrize(
    ("kind", "difference"), [("non_inferiority", 12.0), ("equivalence", 12.0), ("equivalence", -12.0)]
)
@pytest.mark.parametrize("spending", ["lan_demets_of", "pocock"])
def test_margins_hold_their_level_at_looks(plan, kind, difference, spending):
    """At the margin the one-sided level is used up; the other margin of equivalence is 6 standard errors away."""
    interim = {"at": [0.5], "spending": spending}
    trial = asked(plan, hypothesis={"kind": kind, "margin": 12.0}, sides=2, alpha=0.05, interim=interim)
    rng = np.random.default_rng(4)
    control, treated = normal_arm(trial, 50, rng, 100), normal_arm(trial, 50 + difference, rng, 100)
    found = trial.verdict(control, treated)
    assert inside(int(found.shown.sum()), 0.025, REPLICATES, APPROXIMATION)
    early = stats.norm.sf(trial.looks.bounds.upper[0])
    assert inside(int((found.shown & (found.look == 0)).sum()), early, REPLICATES, APPROXIMATION)


def test_power_function_is_that_of_the_t_test(plan):
    """Moved estimates of one simulation have the power of the t test at every benefit, and the detectable one too."""
    trial = asked(plan, sides=2, alpha=0.05)
    rng = np.random.default_rng(5)
    found = trial.verdict(normal_arm(trial, 50, rng, 100), normal_arm(trial, 47, rng, 100)).looks[0]
    path = np.stack([found.estimate, found.se, found.df], axis=-1)[:, None]
    results = {"typical_path": path, "typical_complete": np.full(REPLICATES, -3.0)}
    benefits = [0.0, 4.0, 8.0, 12.0]
    function = power_function(trial, results, benefits)
    for benefit, point in zip(benefits, function, strict=True):
        shift = benefit / (20 * np.sqrt(2 / 100))
        expected = stats.nct.sf(stats.t.isf(0.025, 198), 198, shift)
        assert inside(round(point["value"] * REPLICATES), expected, REPLICATES, APPROXIMATION)
    assert detectable_benefit(function, 0.999) is None
    assert 7 < detectable_benefit(function, 0.8) < 9
