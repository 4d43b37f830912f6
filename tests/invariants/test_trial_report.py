"""The report of a trial with looks, several comparisons and estimands says what its summary says."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemtrial.calibration.belief import Prior
from stemtrial.report import figures
from stemtrial.report.boundaryplot import boundary_plot
from stemtrial.report.chancecurves import chance_curves
from stemtrial.report.characteristics import characteristics
from stemtrial.report.contract import Look, Report, Summary
from stemtrial.report.stoppingmap import stopping_map
from stemtrial.report.tornado import SHOWN, tornado
from stemtrial.trial.characteristics import notes, structure_weights, summarise
from stemtrial.trial.curves import Allocation, Curve
from stemtrial.trial.drivers import Driver
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report"
REPORT = Report.model_validate_json((FIXTURE / "report.json").read_text(encoding="utf-8"))
SUMMARY = json.loads((FIXTURE / "summary.json").read_text(encoding="utf-8"))


def number(cell: str) -> float:
    return float(re.sub(r"[^\d.\-].*", "", cell.replace("−", "-").replace(",", "")))


@pytest.fixture(scope="module")
def summary(small):
    """The summary of a group-sequential run under two estimands, with the arms' parts of the page's fixture."""
    data = small.trial.model_dump(mode="json")
    futility = {"kind": "non_binding", "z": [0.0]}
    data["question"] |= {
        "sides": 1, "alpha": 0.025, "also_estimands": ["composite"],
        "interim": {"at": [0.5], "spending": "pocock", "futility": futility},
    }  # fmt: skip
    data["conduct"]["accrual"] = {"sites": 2, "opening_every_months": 1.0, "patients_per_site_month": 1.0}
    plan = Plan.of(Trial.model_validate(data))
    found = summarise(
        plan, simulate(plan, 1, np.arange(80)), {arm: {"status": "none"} for arm in plan.schedules}
    )
    json.dumps(found, allow_nan=False)
    return SUMMARY | {
        key: value for key, value in found.items() if key not in ("arms", "trial", "calibration")
    }


def test_shares_of_a_summary_add_up(summary):
    for scenario in ("assurance", "power", "type_one_error"):
        stops = [look["stopping"][scenario] for look in summary["looks"]]
        assert sum(s["ends_here"] for s in stops) == pytest.approx(1)
        assert sum(s["efficacy"] for s in stops) == pytest.approx(summary[scenario]["value"])
        first = stops[0]
        assert first["efficacy"] + first["futility"] + first["opposite"] == pytest.approx(first["ends_here"])
    assert summary["expected_n"] == pytest.approx(summary["sample_size"]["assurance"]["mean"])
    assert summary["estimands"]["treatment_policy"]["assurance"] == summary["assurance"]
    assert summary["duration"]["assurance"]["mean"] > 12
    wrong = summary["misleading"]
    parts = wrong["shown_though_absent"]["value"] + wrong["missed_though_important"]["value"]
    assert wrong["value"] == pytest.approx(parts)


class Fitted:
    """A belief that says it is a posterior."""

    label, fingerprint, structure_weights = (
        "fitted to 12 trials",
        "f" * 64,
        {"paracrine": 0.7, "contextual": 0.3},
    )


def test_notes_say_where_the_constants_come_from(small):
    unfitted = replace(small, belief=Prior())
    assert "not fitted to trials" in notes(unfitted)[0]
    assert "not compared" in structure_weights(unfitted)["status"]
    fitted = replace(small, belief=Fitted())
    assert "fitted to 12 trials" in notes(fitted)[0]
    assert re.search("30 % contextual .*70 % paracrine", notes(fitted)[1])
    assert not any("whole prior" in note for note in notes(fitted))
    assert structure_weights(fitted) == Fitted.structure_weights


def test_figures_appear_when_there_is_something_to_compare(summary):
    drawn = {figure.key: figure for figure in figures(REPORT, Summary.model_validate(summary))}
    assert {"boundaries", "estimands"} <= drawn.keys()
    assert "comparisons" not in drawn
    plain = {f.key for f in figures(REPORT, Summary.model_validate(SUMMARY))}
    assert not {"boundaries", "estimands", "comparisons"} & plain
    rows = {row[0]: row for row in drawn["estimands"].panels[0].table.rows}
    for name, answer in summary["estimands"].items():
        row = rows[name.replace("_", " ")]
        assert number(row[1]) == pytest.approx(answer["estimate"]["mean"], abs=0.051)
        assert number(row[3]) == pytest.approx(100 * answer["assurance"]["value"], abs=0.051)


def test_boundaries_in_the_table_are_those_of_the_summary(summary):
    looks = [Look.model_validate(look) for look in summary["looks"]]
    table = boundary_plot(looks).panels[0].table
    assert len(table.rows) == 3 * len(looks)
    for row, look in zip(table.rows[::3], looks, strict=True):
        assert number(row[4]) == pytest.approx(look.efficacy_z, abs=5e-4)
        assert (row[5] == "none") == (look.futility_z is None)
        assert number(row[6]) == pytest.approx(100 * look.stopping["assurance"].efficacy, abs=0.051)


def test_operating_characteristics_leave_out_what_an_older_run_does_not_know(summary):
    new = {row[0] for row in characteristics(Summary.model_validate(summary)).rows}
    old = {row[0] for row in characteristics(Summary.model_validate(SUMMARY)).rows}
    assert {"Assurance", "Power", "Type I error", "Patients randomised"} <= old < new
    assert {"Bias of the estimate", "Misleading conclusion", "Duration", "Type I error at the margin"} <= new


def test_stopping_map_tornado_and_curves_print_their_numbers():
    stopping = {key: np.array([[0.25, 0.75], [0.5, 0.5]]) for key in ("assurance", "power", "type_one_error")}
    expected = dict.fromkeys(stopping, np.array([70.0, 120.0]))
    drawn = stopping_map([80, 160], [0.5, 1.0], stopping, expected)
    assert [tuple(map(number, row)) for row in drawn.panels[0].table.rows] == [
        (80, 25, 75, 70),
        (160, 50, 50, 120),
    ]
    drivers = [Driver(f"c{i}", f"constant <{i}>", 0.5 / (i + 1), 0.01, 0.2, 0.6) for i in range(20)]
    figure = tornado(drivers, 0.4)
    assert len(figure.panels[0].table.rows) == SHOWN
    assert "&lt;0&gt;" in str(figure.panels[0].svg)
    success = np.random.default_rng(1).random((500, 3)) < [0.2, 0.5, 0.8]
    curve = Curve.of(np.array([40, 80, 160]), success)
    curves = dict.fromkeys(stopping, curve)
    split = Allocation(160, (0.4, 0.5, 0.6), curves)
    power = [{"benefit": float(b), "value": b / 10, "mc_se": 0.01} for b in range(11)]
    figure = chance_curves(curves, 12.0, 0.8, split, power)
    assert len(figure.panels) == 3
    for row, share in zip(figure.panels[0].table.rows, curve.share, strict=True):
        assert number(row[1]) == pytest.approx(100 * share, abs=0.051)
