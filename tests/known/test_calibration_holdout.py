"""Leave one trial out, with predictors whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from models.made_arms import arm, reading
from stemtrial.calibration import holdout, scores
from stemtrial.errors import InputError, NumericalError

ARMS = (
    arm("a", "cells", "cell_therapy", [reading(3.0, -20.0), reading(6.0, -24.0)]),
    arm("a", "saline", "saline", [reading(3.0, -10.0)]),
    arm("b", "low", "cell_therapy", [reading(6.0, 30.0, "level")], baseline=None),
    arm("b", "care", "usual_care", [reading(6.0, 45.0, "level", se=None)], baseline=None),
    arm("c", "cells", "cell_therapy", [reading(12.0, -18.0)]),
)


def flat(mean, sd):
    def predictor(training, held_out, rows, draws, seed):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(draws, 1))
        return mean + sd * shared * np.ones(len(rows))

    return predictor


def test_rows_contrasts_and_units():
    seen = []

    def spy(training, held_out, rows, draws, seed):
        seen.append(({a.trial_id for a in training}, {a.trial_id for a in held_out}))
        assert all(not a.readings for a in held_out)
        return np.zeros((draws, len(rows))) + np.arange(draws)[:, None]

    done = []
    found = holdout.leave_one_trial_out(
        ARMS, {"spy": spy}, draws=10, seed=1, bootstrap=50, progress=lambda *at: done.append(at)
    )
    assert seen == [({"b", "c"}, {"a"}), ({"a", "c"}, {"b"}), ({"a", "b"}, {"c"})]
    assert done == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]
    assert [(h.trial_id, h.arm_id, h.month, h.unit, h.observed) for h in found.held if h.kind == "arm"] == [
        ("a", "cells", 3.0, "change", -20.0),
        ("a", "cells", 6.0, "change", -24.0),
        ("a", "saline", 3.0, "change", -10.0),
        ("b", "low", 6.0, "level", 30.0),
        ("b", "care", 6.0, "level", 45.0),
        ("c", "cells", 12.0, "change", -18.0),
    ]
    contrasts = [h for h in found.held if h.kind == "contrast"]
    assert [(h.arm_id, h.comparator_id, h.month, h.observed) for h in contrasts] == [
        ("cells", "saline", 3.0, -10.0),
        ("low", "care", 6.0, -15.0),
    ]
    assert contrasts[0].se == pytest.approx(8**0.5)
    assert np.isnan(contrasts[1].se)
    # the draws of one trial are joint, so what its arms share drops out of a contrast
    assert all((h.draws["spy"] == 0).all() for h in contrasts)


def test_scores_of_known_predictions():
    found = holdout.leave_one_trial_out(
        ARMS[:2] + ARMS[4:], {"good": flat(-18, 5.0), "poor": flat(20, 5.0)}, draws=4000, seed=1
    )
    good, poor = found.of("good", "arm"), found.of("poor", "arm")
    assert (good.rows, good.trials) == (4, 2)
    expected = scores.crps_normal(np.array(-18.0), np.array(5.0), np.array([-20.0, -24.0, -10.0, -18.0]))
    assert good.crps == pytest.approx(expected.mean(), rel=0.03)
    assert good.crps_by_trial == pytest.approx((expected[:3].mean() + expected[3]) / 2, rel=0.03)
    assert good.bias == pytest.approx(0.0, abs=0.2)
    assert [c.share for c in good.coverage] == [0.5, 0.75, 1.0]
    assert good.coverage_by_trial == pytest.approx((2 / 3, 5 / 6, 1.0))
    assert good.mean_width == pytest.approx(2 * 1.96 * 5, rel=0.05)
    assert [c.share for c in poor.coverage] == [0.0, 0.0, 0.0]
    (arms, contrasts) = found.differences
    assert (arms.predictor, arms.against, arms.kind) == ("good", "poor", "arm")
    assert arms.crps == pytest.approx(good.crps - poor.crps)
    assert arms.q975 < 0
    assert arms.crps_by_trial == pytest.approx(good.crps_by_trial - poor.crps_by_trial)
    assert found.against_best("good", "arm") is arms
    assert contrasts.crps == pytest.approx(0.0, abs=1e-9)
    # A single trial has a contrast: its mean has no standard error.
    assert (contrasts.se_by_trial, contrasts.q025_by_trial) == (None, None)


def test_standard_error_over_trials_is_that_of_trial_means():
    """One row a trial: the bootstrap gives the standard error of a mean, within its own error."""
    rng = np.random.default_rng(4)
    arms = [arm(f"t{i}", "a", "saline", [reading(3.0, v)]) for i, v in enumerate(rng.normal(-20, 8, 40))]
    found = holdout.leave_one_trial_out(arms, {"x": flat(-20, 5.0)}, draws=200, seed=1, bootstrap=4000)
    errors = np.array([h.draws["x"].mean() - h.observed for h in found.held])
    own = found.of("x", "arm")
    assert own.bias_se == pytest.approx(errors.std() / 40**0.5, rel=0.06)
    assert own.bias_by_trial == pytest.approx(own.bias)
    assert own.bias_by_trial_se == pytest.approx(stats.sem(errors))


def test_a_trial_with_many_rows_weighs_as_much_as_one_with_few():
    """Against SciPy's interval of the mean of the trials' means."""
    rng = np.random.default_rng(5)
    arms = [
        arm(f"t{i}", "a", "saline", [reading(m, v) for m, v in enumerate(rng.normal(-20, 8, n), 1)])
        for i, n in enumerate((1, 2, 12, 3, 1))
    ]
    models = {"x": flat(-20, 5.0), "y": flat(-14, 5.0), "z": flat(-21, 4.0)}
    found = holdout.leave_one_trial_out(arms, models, draws=100, seed=1, bootstrap=50)
    crps = {}
    for name in models:
        draws = np.column_stack([h.draws[name] for h in found.held])
        each = scores.crps(draws, np.array([h.observed for h in found.held]), fair=True)
        trials = np.array([h.trial_id for h in found.held])
        crps[name] = np.array([each[trials == f"t{i}"].mean() for i in range(5)])
        assert found.of(name, "arm").crps_by_trial == pytest.approx(crps[name].mean())
        assert found.of(name, "arm").crps_by_trial_se == pytest.approx(stats.sem(crps[name]))
    best = found.against_best("x", "arm")
    assert best.against == min("yz", key=lambda name: crps[name].mean())
    gap = crps["x"] - crps[best.against]
    assert (best.crps_by_trial, best.se_by_trial) == pytest.approx((gap.mean(), stats.sem(gap)))
    expected = stats.t.interval(0.95, 4, gap.mean(), stats.sem(gap))
    assert (best.q025_by_trial, best.q975_by_trial) == pytest.approx(expected)


def test_finished_trials_are_kept_and_only_the_same_are_used(tmp_path):
    calls = []

    def counted(training, held_out, rows, draws, seed):
        if len(calls) == 2 and not resumed:
            raise KeyboardInterrupt
        calls.append(held_out[0].trial_id)
        return flat(-18, 5.0)(training, held_out, rows, draws, seed)

    def run(arms, **more):
        return holdout.leave_one_trial_out(
            arms, {"x": counted}, draws=20, seed=1, folder=tmp_path / "kept", bootstrap=10, **more
        )

    resumed = False
    with pytest.raises(KeyboardInterrupt):
        run(ARMS)
    resumed = True
    first = run(ARMS)
    assert calls == ["a", "b", "c"]
    plain = holdout.leave_one_trial_out(ARMS, {"x": flat(-18, 5.0)}, draws=20, seed=1, bootstrap=10)
    assert first.scores == plain.scores
    run(ARMS, key={"version": 2})
    assert calls == ["a", "b", "c"] * 2
    moved = (*ARMS[:4], replace(ARMS[4], n=51))
    run(moved)
    assert calls == ["a", "b", "c"] * 3
    for path in (tmp_path / "kept").iterdir():
        path.write_bytes(b"damaged")
    assert run(moved).scores == first.scores
    assert calls == ["a", "b", "c"] * 4


def test_a_trial_does_not_depend_on_the_order_of_trials():
    predictor = {"x": flat(-18, 5.0)}
    one = holdout.leave_one_trial_out(ARMS, predictor, draws=20, seed=1, bootstrap=10)
    other = holdout.leave_one_trial_out(ARMS[::-1], predictor, draws=20, seed=1, bootstrap=10)
    draws = {h.trial_id: h.draws["x"][:, ...] for h in one.held if h.kind == "arm" and h.month == 12.0}
    same = {h.trial_id: h.draws["x"] for h in other.held if h.kind == "arm" and h.month == 12.0}
    assert np.array_equal(draws["c"], same["c"])


def test_comparator():
    def first(*words):
        return holdout.comparator([arm("t", w, w, []) for w in words])

    assert first("cell_therapy", "hyaluronic_acid", "saline") == 2
    assert first("cell_therapy", "corticosteroid", "usual_care") == 2
    assert first("cell_therapy", "hyaluronic_acid", "corticosteroid") == 1
    assert first("cell_therapy", "cell_therapy") is None


def test_faults():
    with pytest.raises(InputError, match="two trials"):
        holdout.leave_one_trial_out(ARMS[:2], {"x": flat(0, 1)}, draws=10, seed=1)
    with pytest.raises(InputError, match="one predictor"):
        holdout.leave_one_trial_out(ARMS, {}, draws=10, seed=1)
    for bad in (lambda *a: np.zeros((3, 1)), lambda t, h, rows, d, s: np.full((d, len(rows)), np.nan)):
        with pytest.raises(NumericalError, match="x predicted a"):
            holdout.leave_one_trial_out(ARMS, {"x": bad}, draws=10, seed=1)
