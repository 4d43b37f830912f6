"""Secondary analyses of a run against the analyses themselves, one replicate at a time, and against their order."""

import numpy as np
import pytest

from stemtrial.trial import secondary
from stemtrial.trial.binary import adjusted, cochran_mantel_haenszel
from stemtrial.trial.replicates import Plan, scenarios, simulate
from stemtrial.trial.responders import responses, time_to_loss
from stemtrial.trial.survival import kaplan_meier, log_rank, possible_times

SEED, REPLICATES = 7, 25


@pytest.fixture(scope="module")
def asked(small):
    data = small.trial.model_dump(mode="json")
    data["question"]["secondary"] = {
        "responders": ["thirty_percent", "omeract_oarsi"],
        "missing": "left_out",
        "time_to_loss": True,
    }
    return Plan.of(type(small.trial).model_validate(data))


@pytest.fixture(scope="module")
def results(asked):
    return simulate(asked, SEED, np.arange(REPLICATES))


def test_nothing_is_analysed_or_changed_unless_asked(small, asked, results):
    plain = simulate(small, SEED, np.arange(REPLICATES))
    assert not [name for name in plain if name.startswith("secondary/")]
    assert secondary.summary(small, plain) is None
    assert all(
        (plain[name] == results[name]).all() for name in ("success", "typical_success", "null_success")
    )


def test_one_replicate_alone_has_the_numbers_of_the_run(asked, results):
    one, visit = np.array([11]), asked.main_visit
    casts = asked.casts(SEED, one)
    arms = scenarios(asked, casts, SEED, one, asked.trial.question.estimand)[""]
    pair = ("saline", "cells")
    seen = tuple(asked.seen(arms[a], visit) for a in pair)
    base = tuple(asked.reading(arms[a], visit)[1] for a in pair)
    grade = tuple(casts[a].people.covariates.grade for a in pair)
    for name in ("thirty_percent", "omeract_oarsi"):
        yes = tuple(responses(asked, arms[a], visit)[name] & s for a, s in zip(pair, seen, strict=True))
        logistic, cmh = adjusted(yes, base, seen), cochran_mantel_haenszel(yes, grade, seen, corrected=False)
        assert results[f"secondary/{name}/log_odds"][11] == pytest.approx(
            [logistic.estimate[0], cmh.estimate[0]], nan_ok=True
        )
        shown = [bool(f.estimate[0] > 0 and f.p[0] < 0.05) for f in (logistic, cmh)]
        assert results[f"secondary/{name}/shown"][11].tolist() == shown
    times = possible_times(np.array(asked.trial.visits_months))
    lost = [time_to_loss(asked, arms[a]) for a in pair]
    assert results["secondary/loss/shown"][11] == log_rank(*lost, times).success(0.05, 2)[0]
    for i, of in enumerate(lost):
        assert results["secondary/loss/kept"][11, i] == pytest.approx(kaplan_meier(of, times).survival[0])
        assert results["secondary/loss/responders"][11, i] == of.counted[0].mean()


def test_the_summary_is_that_of_the_replicates(asked, results):
    found = secondary.summary(asked, results)
    assert found["missing"] == "left_out"
    assert list(found["responders"]) == ["thirty_percent", "omeract_oarsi"]
    for name, answer in found["responders"].items():
        shares = results[f"secondary/{name}/shares"]
        for i, arm in enumerate(("saline", "cells")):
            assert answer["shares"][arm]["mean"] == shares[:, i].mean()
        for i, method in enumerate(("logistic", "cmh")):
            odds = np.exp(results[f"secondary/{name}/log_odds"][:, i])
            known = odds[np.isfinite(odds)]
            assert answer[method]["odds_ratio"]["median"] == pytest.approx(np.median(known))
            assert answer[method]["odds_ratio"]["not_estimable"] == REPLICATES - len(known)
            for scenario, prefix in (("assurance", ""), ("power", "typical_"), ("type_one_error", "null_")):
                shown = results[f"secondary/{prefix}{name}/shown"][:, i]
                assert answer[method][scenario]["value"] == shown.mean()
    responders = results["saline/responders"][:, 1].mean()
    assert found["responders"]["thirty_percent"]["shares"]["saline"]["mean"] == pytest.approx(responders)
    for arm in found["time_to_loss"]["arms"].values():
        kept = [point["mean"] for point in arm["kept"]]
        assert kept == sorted(kept, reverse=True)
        assert [point["month"] for point in arm["kept"]] == [5.0, 6.0, 11.0]


def test_a_run_in_which_nobody_responds_says_so(asked, results):
    nobody = dict(results)
    nobody["secondary/loss/kept"] = np.full_like(results["secondary/loss/kept"], np.nan)
    nobody["secondary/loss/median"] = np.full_like(results["secondary/loss/median"], np.nan)
    nobody["secondary/omeract_oarsi/log_odds"] = np.full((REPLICATES, 2), np.nan)
    found = secondary.summary(asked, nobody)
    assert found["responders"]["omeract_oarsi"]["logistic"]["odds_ratio"] is None
    assert found["time_to_loss"]["arms"]["cells"]["kept"] == []
    assert found["time_to_loss"]["arms"]["cells"]["median_months"] is None
