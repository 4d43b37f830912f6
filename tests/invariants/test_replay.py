"""A virtual trial replayed alone is the one inside a longer run."""

import json

import numpy as np
import pandas as pd
import pytest

from command import here
from stemtrial.documents import Document
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replay import NUMBERS, replay
from stemtrial.trial.replicates import Plan, simulate
from stemtrial.trial.run import run


def variant(plan, **question):
    data = plan.trial.model_dump(mode="json")
    data["arms"]["saline"]["n"], data["arms"]["cells"]["n"] = 16, 24
    data["conduct"]["rescue_analgesia"]["pain_above"] = 55
    data["question"] |= question
    return Plan.of(Trial.model_validate(data))


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"analysis": "mmrm"},
        {"estimand": "composite"},
        {"endpoint": {"instrument": "NRS", "month": 6}},
        {"estimand": "hypothetical", "endpoint": {"instrument": "WOMAC_function", "month": 12}},
    ],
)
def test_numbers_of_a_replay_are_those_of_the_run_bit_by_bit(plan, question):
    own = variant(plan, **question)
    whole = simulate(own, 3, np.arange(40))
    for which in (0, 17, 39):
        one = replay(own, 3, which)
        for name in NUMBERS:
            assert one.results[name] == whole[name][which], name
        months = [f"{m:g}" for m in own.trial.visits_months]
        assert one.results["estimate_by_visit"] == dict(
            zip(months, whole["estimate_by_visit"][which].tolist(), strict=True)
        )


def test_an_analysis_of_the_replayed_patients_is_the_estimate(plan):
    """Ordinary least squares on what the table shows, by LAPACK instead of closed forms."""
    own = variant(plan, estimand="composite")
    one = replay(own, 3, 5)
    rows = [p for p in one.patients if p.outcome is not None]
    design = [[1, p.baseline, p.arm == "cells"] for p in rows]
    fitted = np.linalg.lstsq(np.array(design, float), np.array([p.outcome for p in rows]), rcond=None)[0]
    assert fitted[2] == pytest.approx(one.results["estimate"], rel=1e-9)
    counts = one.document(own)["analysed"]
    assert counts == {arm: sum(p.arm == arm for p in rows) for arm in ("saline", "cells")}


def test_patients_of_a_replay_are_the_rows_of_the_run(example, tmp_path):
    path = tmp_path / "trial.yaml"
    Document.read(example).replaced({("arms", "saline", "n"): 16, ("arms", "cells", "n"): 24}).write(path)
    run(path, 8, 3, tmp_path / "run", 1, lambda _: None, patients=True)
    rows = pd.read_parquet(tmp_path / "run" / "patients.parquet").query("replicate == 6")
    rows = rows.set_index(["arm", "patient"])
    one = replay(Plan.of(Trial.read(path)), 3, 6)
    assert [(p.arm, p.patient) for p in one.patients] == list(rows.index)
    for patient in one.patients:
        row = rows.loc[(patient.arm, patient.patient)]
        assert patient.age == row["age"]
        assert patient.baseline == row["VAS_0"]
        for month, value in patient.readings.items():
            stored = row[f"VAS_{month:g}"]
            assert np.isnan(stored) if value is None else value == stored
        for name in ("left_by_month", "rescue_month"):
            value = getattr(patient, name)
            assert np.isnan(row[name]) if value is None else value == row[name]
        assert patient.outcome is None or patient.outcome == patient.readings[12]
        assert (patient.outcome is None) == (patient.left_by_month is not None)


def test_responders_of_a_replay_are_counted_among_its_patients(plan):
    own = variant(plan)
    one = replay(own, 3, 5)
    mcid = own.mcid.value
    for arm in ("saline", "cells"):
        mine = [p for p in one.patients if p.arm == arm]
        share = sum(p.outcome is not None and p.change <= -mcid for p in mine) / len(mine)
        assert one.responders["mcid"]["shares"][arm] == pytest.approx(share)
        ever = [[r is not None and p.baseline - r >= mcid for r in p.readings.values()] for p in mine]
        assert one.response[arm]["responders"] == sum(any(path) for path in ever)
        lost = 0
        for patient, path in zip(mine, ever, strict=True):
            after = list(patient.readings.values())[path.index(True) :] if any(path) else []
            lost += any(r is not None and patient.baseline - r < mcid for r in after)
        assert one.response[arm]["losses"] == lost
    assert set(one.responders) == {"mcid", "thirty_percent", "fifty_percent", "omeract_oarsi"}
    assert 0 < one.responders["mcid"]["cmh"]["p"] <= 1


def test_true_relief_falls_apart_into_its_parts(plan):
    own = variant(plan)
    one = replay(own, 3, 5)
    relief = simulate(own, 3, np.arange(5, 7))
    for arm in ("saline", "cells"):
        parts = np.array([list(p.relief.values()) for p in one.patients if p.arm == arm]).mean(axis=0)
        assert np.allclose(parts, relief[f"{arm}/relief"][0], rtol=1e-12)


def test_command_prints_the_document_and_the_table(example):
    def call(*more):
        return here("replay", example, "--replicate", 2, "--seed", 4, *more, env={"COLUMNS": "80"})

    found = json.loads(call("--json").stdout)
    assert found["replicate"] == 2
    assert found["seed"] == 4
    assert found["calibration"]
    assert len(found["patients"]) == 240
    assert found["patients"][0]["arm"] == "saline"
    done = call()
    assert done.returncode == 0, done.stderr
    assert f"cells minus saline: {found['results']['estimate']:+.2f}" in done.stdout
    shown = [line.split() for line in done.stdout.splitlines() if line.startswith(" ")]
    assert [int(words[0]) for words in shown if words[:1] and words[0].isdecimal()] == [*range(120)] * 2


@pytest.mark.parametrize("number", ["-1", "1000000", "x"])
def test_replicates_that_no_run_has_are_refused(example, number):
    done = here("replay", example, "--replicate", number, "--seed", 4)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
