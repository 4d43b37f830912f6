"""Statistical baselines against closed forms, and what they do where data are missing."""

import numpy as np
import pytest

from models.made_arms import arm, made_trials, reading
from stemtrial.calibration import baselines
from stemtrial.calibration.observed import CLASSES, Asked, arm_class, rows_of
from stemtrial.errors import InputError


@pytest.fixture(scope="module")
def fitted():
    return {name: fit(made_trials(20, 1), 1) for name, fit in baselines.FITS.items()}


def asked(place, *months, unit="change"):
    return [Asked(place, month, unit) for month in months]


def test_rows_are_changes_where_the_baseline_is_known():
    known = arm("a", "x", "saline", [reading(1.0, 40.0, "level"), reading(3.0, -12.0)], baseline=55.0)
    unknown = arm("a", "y", "saline", [reading(1.0, 40.0, "level", se=None)], baseline=None)
    rows = rows_of([known, unknown])
    assert [(r.asked.arm, r.asked.month, r.asked.unit, r.value) for r in rows] == [
        (0, 1.0, "change", -15.0),
        (0, 3.0, "change", -12.0),
        (1, 1.0, "level", 40.0),
    ]
    assert np.isnan(rows[2].se)


def test_readings_of_one_visit_are_averaged_and_shares_left_out():
    share = reading(1.0, 0.5, "responders", se=None, threshold=20.0)
    one = arm("a", "x", "saline", [reading(1.0, -10.0, se=2.0), reading(1.0, -14.0, se=4.0), share])
    (row,) = rows_of([one])
    assert (row.value, row.se) == (-12.0, 3.0)


def test_classes():
    words = ("cell_therapy", "vehicle", "hyaluronic_acid", "corticosteroid", "exercise", "usual_care")
    assert tuple(arm_class(arm("a", "x", word, [])) for word in words) == CLASSES


def test_nearest_visit_is_nearest_in_doublings():
    assert [baselines.nearest_visit(m) for m in (0.25, 1.9, 2.1, 8.4, 8.6, 40.0)] == [1, 3, 3, 6, 12, 24]


@pytest.mark.parametrize("name", list(baselines.FITS))
def test_prediction_follows_n_and_shares_the_trial(fitted, name):
    few, many = arm("new", "a", "saline", [], n=5), arm("new", "b", "cell_therapy", [], n=100_000)
    model = fitted[name]
    draws = model.predict([few, many], asked(0, 6.0) + asked(1, 6.0), 20_000, 3)
    assert draws.shape == (20_000, 2)
    sd = model.norms.sd
    assert sd == pytest.approx(22.0)
    # both arms carry the same between-trial variance; only sampling error differs
    gap = draws[:, 0].var() - draws[:, 1].var()
    assert gap == pytest.approx(sd**2 / 5, rel=0.25)
    scales = model.posterior.mean()
    shared = np.cov(draws.T)[0, 1]
    assert shared == pytest.approx(scales["tau"] ** 2, rel=0.8)
    contrast = draws[:, 1] - draws[:, 0]
    assert contrast.mean() == pytest.approx(-13 * 6 / 7, abs=4.0)


@pytest.mark.parametrize("name", list(baselines.FITS))
def test_same_rows_twice_are_one_number(fitted, name):
    one = arm("new", "a", "saline", [])
    draws = fitted[name].predict([one], asked(0, 6.0, 3.0, 6.0), 100, 3)
    assert np.array_equal(draws[:, 0], draws[:, 2])
    assert np.array_equal(draws, fitted[name].predict([one], asked(0, 6.0, 3.0, 6.0), 100, 3))


@pytest.mark.parametrize("name", list(baselines.FITS))
def test_levels_without_baseline_share_it(fitted, name):
    """The common baseline widens each level and drops out of their difference."""
    blind = [arm("new", w, w, [], baseline=None) for w in ("saline", "cell_therapy")]
    model = fitted[name]
    rows = asked(0, 6.0, unit="level") + asked(1, 6.0, unit="level") + asked(0, 6.0) + asked(1, 6.0)
    draws = model.predict(blind, rows, 20_000, 4)
    widened = draws[:, 0].var() - draws[:, 2].var()
    assert widened == pytest.approx(model.norms.baseline_sd**2, rel=0.2)
    assert (draws[:, 1] - draws[:, 0]).var() == pytest.approx((draws[:, 3] - draws[:, 2]).var(), rel=0.1)
    assert draws[:, 0].mean() - draws[:, 2].mean() == pytest.approx(model.norms.baseline, abs=0.5)


def test_a_class_without_data_takes_the_mean_of_all_arms_and_is_wider(fitted):
    for model in fitted.values():
        arms = [arm("new", w, w, [], n=1000) for w in ("saline", "hyaluronic_acid")]
        draws = model.predict(arms, asked(0, 6.0) + asked(1, 6.0), 20_000, 5)
        assert draws[:, 1].std() > 1.1 * draws[:, 0].std()
        assert draws[:, 1].mean() < draws[:, 0].mean() - 2


def test_pooled_mean_with_many_trials_is_the_mean_of_the_trials():
    """Equal errors in every trial: the pooled estimate is their plain mean, its spread that of trial means."""
    rng = np.random.default_rng(8)
    values = rng.normal(-20.0, 6.0, 60)
    arms = [arm(f"t{i}", "a", "saline", [reading(3.0, v, se=3.0)]) for i, v in enumerate(values)]
    model = baselines.fit_pooled_mean(arms, 1)
    draws = model.predict([arm("new", "a", "saline", [], n=10**8)], asked(0, 3.0), 20_000, 2)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.25)
    between = values.var(ddof=1) - 9.0
    assert draws.var() == pytest.approx(between + values.var(ddof=1) / 60, rel=0.2)


def test_levels_inform_contrasts():
    """Trials that report levels without a baseline still tell cells from saline."""
    model = baselines.fit_time_course(made_trials(25, 6, levels=1.0), 1)
    blind = [arm("new", w, w, [], baseline=60.0, n=1000) for w in ("saline", "cell_therapy")]
    draws = model.predict(blind, asked(0, 6.0) + asked(1, 6.0), 4000, 2)
    assert (draws[:, 1] - draws[:, 0]).mean() == pytest.approx(-13 * 6 / 7, abs=4.0)


def test_two_trials_are_too_few():
    for fit in baselines.FITS.values():
        with pytest.raises(InputError, match="too few to pool"):
            fit(made_trials(2, 1), 1)
