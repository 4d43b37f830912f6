"""Predicted beside observed responders: what arms report, what leaving a trial out does, and how it is told."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from stemtrial.calibration.belief import Prior, belief
from stemtrial.calibration.leftout import without
from stemtrial.calibration.mixture import unreliable
from stemtrial.calibration.posterior import Posterior
from stemtrial.calibration.published import published_arms
from stemtrial.calibration.trialwise import Trialwise
from stemtrial.candidate.checking import bins, summary
from stemtrial.candidate.checks import FILE, lines, sentence, shipped, table, told
from stemtrial.candidate.ensemble import Ensemble
from stemtrial.candidate.participants import CORRELATION, participants
from stemtrial.candidate.person import Likeness
from stemtrial.candidate.responders import asked, given, population, predict
from stemtrial.candidate.spread import widening
from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.mechanism.schedule import Kind
from stemtrial.population.patients import People

ARMS = published_arms(load(), "knee_oa")
TRIALS = participants("knee_oa")


def arm(trial, name):
    return next(each for each in ARMS.of(trial) if each.arm_id == name)


# ---- what arms report ---------------------------------------------------------------------------------------------


def test_share_follows_from_mean_and_sd_of_the_change():
    own = arm("dorio_2021", "saline")
    reading = own.readings[0]
    sd = (own.baseline_sd**2 + reading.sd**2 - 2 * CORRELATION * own.baseline_sd * reading.sd) ** 0.5
    expected = norm.cdf(-14, reading.value - own.baseline_mean, sd)
    found = next(asked(own, load(), 14))
    assert (found.month, found.basis, found.rule) == (reading.month, "mean and SD", "14 points")
    assert found.share == pytest.approx(expected)


def test_counted_and_rated_shares_are_as_printed():
    counted = [each for each in asked(arm("adipoa2_2025", "saline"), load(), 14) if each.basis == "counted"]
    assert [(each.month, each.rule, each.n) for each in counted] == [(6, "50 %", 42)]
    assert counted[0].share == pytest.approx(0.548)
    rated = [each for each in asked(arm("lu_2019", "rejoin"), load(), 14) if each.basis == "rated"]
    (row,) = (load().outcomes[each.row - 1] for each in rated)
    assert (row.instrument, row.arm_id, 100 * rated[0].share) == (
        "responder_pct",
        "rejoin",
        pytest.approx(row.value),
    )


def test_nothing_is_asked_before_an_outlook_begins():
    for own in ARMS.of("cingal_2017"):
        assert any(reading.month < 1 for reading in own.readings)
        assert all(each.month >= 1 for each in asked(own, load(), 14))


def test_unprinted_doses_are_those_a_fit_begins_with():
    own = arm("kim_2023", "admsc")
    assert own.dose_million is None
    assert [e.amount for e in given(own).events if e.kind is Kind.CELLS] == [40.0]
    known = arm("lu_2019", "rejoin")
    assert given(known) == known.schedule


def test_covariates_of_an_arm_stand_before_those_of_the_participants():
    own = replace(arm("dorio_2021", "saline"), age_mean=61.5, female=None)
    spec = population(own, TRIALS)
    assert (spec.age.mean, spec.baseline_pain.mean) == (61.5, own.baseline_mean)
    assert spec.female == TRIALS.spec.female


def test_prediction_is_the_share_of_readings_below_the_limit():
    """Mean over draws for very many patients against readings; 5 standard errors: false-alarm rate 6e-7."""
    own, draws, patients = arm("dorio_2021", "saline"), 100, 40
    (row, *_) = (replace(each, n=10**9) for each in asked(own, load(), 14))
    found = predict(own, [row], Prior(), TRIALS, 5, draws, patients)[:, 0]
    people = People.draw(population(own, TRIALS), 5, np.arange(draws), 0, patients)
    constants = Prior().draw(5, np.arange(draws))
    like = Ensemble(constants, Likeness(people, np.zeros(draws)), (row.month,), 5, patients)
    truth = like.follow(own.schedule)
    added, _ = widening(like, truth, TRIALS).at(row.month)
    better = like.readings(truth, 0, added)[0] <= like.reported - 14
    error = (found * (1 - found)).mean() ** 0.5 / (draws * patients) ** 0.5
    assert abs(better.mean() - found.mean()) < 5 * error


def test_few_patients_scatter_more():
    own = arm("dorio_2021", "saline")
    (row, *_) = asked(own, load(), 14)
    few, many = (
        predict(own, [replace(row, n=n, basis=basis)], Prior(), TRIALS, 5, 100, 10)[:, 0].std()
        for n, basis in ((5, "counted"), (10**9, "counted"))
    )
    assert few > many


# ---- a trial left out ---------------------------------------------------------------------------------------------


def made(trial_precision, centre, draws=4000):
    """A fit of one quantity whose posterior is standard normal, with a trial of normal likelihood among two."""
    x = np.random.default_rng(4).standard_normal(draws)
    model = SimpleNamespace(trials=("a", "b"), dimension=1)
    names = ("k_B", "mu_cell")
    fit = SimpleNamespace(
        model=model, draws=x.reshape(1, draws, 1), shared=1, constants=(names, np.column_stack([x, -x]))
    )
    own = norm.logpdf(x, centre, trial_precision**-0.5)
    parts = {"paracrine": Trialwise(fit, np.arange(draws), np.column_stack([own, 1e-9 * np.sin(1e3 * x)]))}
    about = {"indication": "knee_oa", "trials": 2, "structure_weights": {"paracrine": 1.0}}
    return Posterior(names, np.zeros((1, 2)), np.zeros((1, 1)), ("paracrine",), about, "f" * 64), parts


def test_leaving_a_trial_out_takes_its_likelihood_away():
    """Normal posterior less a normal likelihood is normal; 5 standard errors of about 2500 draws: 1e-6 each."""
    posterior, parts = made(0.3, 0.5)
    found = without(posterior, parts, "a", 4000, 3)
    x = found.values[:, 0]
    assert x.mean() == pytest.approx(-0.3 * 0.5 / 0.7, abs=5 * 1.2 / 2500**0.5)
    assert x.std() == pytest.approx(0.7**-0.5, abs=5 * 1.2 / 5000**0.5)
    assert np.array_equal(found.values[:, 1], -x)
    assert (found.about["trials"], found.about["without"]) == (1, "a")
    assert not unreliable(parts)


def test_a_trial_without_weight_leaves_everything_as_it_was():
    posterior, parts = made(0.3, 0.5)
    found = without(posterior, parts, "b", 4000, 3)
    assert sorted(found.values[:, 0]) == pytest.approx(sorted(parts["paracrine"].fit.constants[1][:, 0]))


def test_a_trial_that_decides_the_fit_is_named():
    assert unreliable(made(0.97, 2.0)[1]) == {"a"}


# ---- how it is told -----------------------------------------------------------------------------------------------


def row(trial, predicted, observed, low, high):
    ends = dict.fromkeys(("q025", "q10", "q25"), low) | dict.fromkeys(("q75", "q90", "q975"), high)
    return {"trial_id": trial, "predicted": predicted, "observed": observed, "row": 1, **ends}


ROWS = [row("a", 30.0, 40.0, 20, 50), row("a", 30.0, 60.0, 20, 50), row("b", 70.0, 50.0, 60, 80)]


def test_trials_weigh_equally():
    found = summary(ROWS)
    assert (found["rows"], found["trials"]) == (3, 2)
    assert (found["predicted"], found["observed"], found["difference"]) == (50, 50, 0)
    assert found["difference_se"] == pytest.approx(20)  # differences of 20 and -20
    assert [(c["share"], c["rows"]) for c in found["coverage"]] == [(0.25, pytest.approx(1 / 3))] * 3
    assert [(each["low"], each["predicted"], each["observed"]) for each in bins(ROWS)] == [
        (20, 30, 50),
        (60, 70, 50),
    ]


def whole(posterior):
    check = {
        "seen": 0,
        "chances": (0.2, 0.4),
        "persons": 9,
        "expected": 3.0,
        "responded": 3,
        "low": 1,
        "high": 6,
    }
    return {
        "posterior": posterior, "label": "made", "seed": 1, "draws": 100,
        "left_out": {"all": summary(ROWS), "groups": {"rated": summary(ROWS)}, "bins": bins(ROWS),
                     "unreliable": ["a"], "rows": ROWS},
        "simulated": {"persons": 9, "coverage": [], "calibration": [check]},
    }  # fmt: skip


def test_a_table_is_used_with_its_own_constants_alone(tmp_path):
    (tmp_path / FILE).write_text(json.dumps(whole("1" * 64)))
    posterior = tmp_path / "knee_oa.posterior"
    assert table("knee_oa", "1" * 64, posterior)["label"] == "made"
    assert table("knee_oa", "2" * 64, posterior) is None
    assert table("disc_degeneration", "1" * 64) is None
    (tmp_path / FILE).write_text("[1]")
    with pytest.raises(InputError, match="is no table of responders"):
        table("knee_oa", "1" * 64, posterior)


def test_what_is_told_names_doubt_and_keeps_single_arms_out():
    found = told(whole("1" * 64))
    assert "rows" not in found["left_out"]
    assert found["left_out"]["outcome_rows"] == [1]
    assert "1 of the trials could be left out only roughly" in found["text"]
    assert "1 of 1 checks of forecasts held" in found["text"]
    assert told(None) is None


def test_shipped_table_is_whole_and_says_what_it_sums_up():
    found = shipped("knee_oa")
    rows = found["left_out"]["rows"]
    again = summary(rows)
    for name in ("predicted", "observed", "difference"):
        assert found["left_out"]["all"][name] == pytest.approx(again[name], abs=1e-2)
    for each in rows:
        source = load().outcomes[each["row"] - 1]
        assert (source.trial_id, source.arm_id, source.reference_id) == (
            each["trial_id"], each["arm_id"], each["reference_id"],
        )  # fmt: skip
        assert 0 <= each["q025"] <= each["predicted"] <= each["q975"] <= 100
    assert sentence(found) in "\n".join(lines(found))
    current = table("knee_oa", belief("knee_oa").fingerprint)
    assert (current is None) is (found["posterior"] != belief("knee_oa").fingerprint)


def test_packaged_with_the_code():
    import stemtrial.candidate

    assert (Path(stemtrial.candidate.__file__).parent / "data" / "knee_oa.json").is_file()
