"""Virtual persons and forecasts against brute force; false-alarm rates are stated with each test."""

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import kstest

from stemtrial.calibration.belief import Belief, Prior
from stemtrial.candidate.backtest import Backtest, _simulate, backtest
from stemtrial.candidate.deviations import Reading
from stemtrial.candidate.ensemble import Ensemble
from stemtrial.candidate.options import named
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person, virtual
from stemtrial.candidate.tracking import Cloud
from stemtrial.population.patients import enrol

TRIALS = participants("knee_oa")
(CELLS,) = named("knee_oa", ["autologous_culture_expanded_bone_marrow"])


def one_draw(copies: int, **changes: float) -> dict[str, np.ndarray]:
    """Return the constants of one draw, many times."""
    drawn = Prior().draw(5, np.arange(1))
    return {name: np.full(copies, changes.get(name, float(value[0]))) for name, value in drawn.items()}


def test_unknown_covariates_follow_from_the_known_ones() -> None:
    """Body-mass index given age and grade, against the participants among 400,000 who have both.

    A difference of means beyond 4.5 standard errors: false-alarm rate 1e-5.
    """
    draws = np.arange(400)
    everybody = virtual(Person("knee_oa"), TRIALS, one_draw(400), 1, draws, 1000).people.covariates
    alike = (np.abs(everybody.age - 70) < 1) & (everybody.grade == 3)
    found = virtual(
        Person("knee_oa", age=70, grade=3), TRIALS, one_draw(400), 2, draws, 100
    ).people.covariates
    reference, x = everybody.bmi[alike], found.bmi.ravel()
    assert np.abs(x.mean() - reference.mean()) < 4.5 * np.hypot(
        x.std() / x.size**0.5, reference.std() / alike.sum() ** 0.5
    )
    assert (found.age == 70).all()
    assert (found.grade == 3).all()
    women = everybody.female[alike].mean()
    assert (
        np.abs(found.female.mean() - women)
        < 4.5 * (women * (1 - women) * (1 / x.size + 1 / alike.sum())) ** 0.5
    )


def test_reported_function_places_pain_and_offset_as_bayes_says() -> None:
    """Conditioned draws against importance weights; 4.5 standard errors, 4 checks: false-alarm rate 3e-5."""
    constants = one_draw(50)
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=2, pain=55)
    size = 4000
    free = enrol(
        virtual(person, TRIALS, constants, 1, np.arange(50), size).people, constants, autologous=False
    )
    given = enrol(
        virtual(
            Person(**{**person.to_dict(), "function": 75.0}), TRIALS, constants, 2, np.arange(50), size
        ).people,
        constants,
        autologous=False,
    )
    expected = constants["alpha_F"][0] + constants["beta_F"][0] * free.pain + free.function_offset
    weight = np.exp(-0.5 * ((75 - expected) / constants["sd_function"][0]) ** 2)
    weight /= weight.sum()
    effective = 1 / (weight**2).sum()
    for reference, x in ((free.pain, given.pain), (free.function_offset, given.function_offset)):
        mean = (weight * reference).sum()
        sd = ((weight * (reference - mean) ** 2).sum()) ** 0.5
        error = sd * (1 / effective + 1 / x.size) ** 0.5
        assert np.abs(x.mean() - mean) < 4.5 * error
        assert np.abs(x.std() - sd) < 4.5 * error  # the SD of an SD is below that of a mean


def test_reported_function_tells_of_unreported_pain() -> None:
    """Reported pain given function against importance weights; 4.5 standard errors and 1 % of bias: 1e-5."""
    constants = one_draw(200)
    people = virtual(Person("knee_oa"), TRIALS, constants, 1, np.arange(200), 2000).people
    free = enrol(people, constants, autologous=False)
    expected = constants["alpha_F"][0] + constants["beta_F"][0] * free.pain + free.function_offset
    weight = np.exp(-0.5 * ((75 - expected) / constants["sd_function"][0]) ** 2)
    weight /= weight.sum()
    given = virtual(Person("knee_oa", function=75.0), TRIALS, constants, 2, np.arange(200), 50).people
    moved = enrol(given, constants, autologous=False)
    pairs = (
        (people.covariates.pain, given.covariates.pain),
        (free.pain, moved.pain),
        (people.covariates.bmi, given.covariates.bmi),
    )
    for reference, x in pairs:
        mean = (weight * reference).sum()
        sd = ((weight * (reference - mean) ** 2).sum()) ** 0.5
        # Patients of a group are chosen from few, which makes them alike.
        error = sd * (1 / 8000 + (weight**2).sum()) ** 0.5 + x.mean(axis=1).std() / 200**0.5
        assert np.abs(x.mean() - mean) < 4.5 * error + 0.01 * sd


def test_weight_of_a_draw_is_how_well_it_explains_function() -> None:
    """Against the mean likelihood of function over patients; 5 standard errors in 20 draws: false-alarm rate 1e-5."""
    constants = Prior().draw(3, np.arange(20))
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=2, pain=55, function=80)
    found = virtual(person, TRIALS, constants, 1, np.arange(20), 20).log_weight
    free = Person(**{**person.to_dict(), "function": None})
    patients = enrol(
        virtual(free, TRIALS, constants, 2, np.arange(20), 20000).people, constants, autologous=False
    )
    c = {name: value[:, None] for name, value in constants.items()}
    expected = c["alpha_F"] + c["beta_F"] * patients.pain + patients.function_offset
    likelihood = np.exp(-0.5 * ((80 - expected) / c["sd_function"]) ** 2) / c["sd_function"]
    mean, error = likelihood.mean(axis=1), likelihood.std(axis=1) / 20000**0.5
    ratio = mean / np.exp(found)
    # The two differ by one common factor.
    centre = np.median(ratio)
    assert (np.abs(ratio / centre - 1) < 5 * error / mean + 5 * np.median(error / mean)).all()


def test_chances_are_those_of_the_readings() -> None:
    """Chance of a reading below a limit against the share of readings; 5 standard errors, 15 checks: 1e-5."""
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=2, pain=55, function=50)
    constants = Prior().draw(4, np.arange(100))
    like = Ensemble.like(person, TRIALS, constants, 4, 200, (1.0, 6.0, 24.0))
    truth = like.follow(CELLS.schedule)
    for k in range(3):
        pain, _ = like.readings(truth, k, 16.0)
        for limit in (0.0, 15.0, 41.0, 60.0, 100.0):
            chance = like.chance_below(truth, k, np.full_like(pain, limit), 16.0)
            error = max((chance * (1 - chance)).mean(), 1e-12) ** 0.5 / pain.size**0.5
            assert np.abs((pain <= limit).mean() - chance.mean()) <= 5 * error + 1e-12


def test_readings_are_those_of_trials() -> None:
    """Readings of an ensemble of unknown persons against the conduct of trials; KS at 1e-4, 4 tests: 4e-4."""
    months = (1.0, 12.0)
    constants = Prior().draw(6, np.arange(3000))
    like = Ensemble.like(Person("knee_oa"), TRIALS, constants, 6, 1, months)
    truth = like.follow(CELLS.schedule)
    _, pain, function = _simulate(CELLS, Prior(), 7, 3000, months, "knee_oa")
    for k in range(2):
        for mine, theirs in zip(like.readings(truth, k), (pain[k], function[k]), strict=True):
            assert kstest(mine.ravel(), theirs).pvalue > 1e-4


def test_moves_leave_the_posterior_as_it_is() -> None:
    """Moments after resampling and moving against those of the weights; 4.5 standard errors, 4 checks: 3e-5.

    The moved particles start from a posterior sample, so wrong moves, not only slow ones, would shift them.
    """
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=2, pain=60)
    constants = Prior().draw(8, np.arange(3000))
    cloud = Cloud.draw(person, TRIALS, constants, CELLS.schedule, (0.0, 1.0, 6.0), (), 8, 4, _numerics())
    readings = [Reading(1.0, "pain", 30.0), Reading(1.0, "function", 35.0)]
    for reading in readings:
        cloud = cloud.learn(reading)
    moved, accepted = cloud.refreshed(readings, CELLS.schedule, (), 8, 0, _numerics())
    assert 0.2 < accepted < 1
    for what in ("pain", "function"):
        before, after = cloud.true(6.0, what), moved.true(6.0, what)
        mean = (cloud.weight * before).sum()
        sd = ((cloud.weight * (before - mean) ** 2).sum()) ** 0.5
        # Resampled particles repeat each other: the effective number stands for both.
        error = sd * (2 / cloud.effective) ** 0.5
        assert np.abs(after.mean() - mean) < 4.5 * error
        assert np.abs(after.std() - sd) < 4.5 * error
    assert len(np.unique(moved.true(6.0, "pain"))) > 0.9 * len(moved.weight)


def _numerics():  # type: ignore[no-untyped-def]
    from stemtrial.simulation import STANDARD_NUMERICS

    return STANDARD_NUMERICS


@pytest.fixture(scope="module")
def right() -> Backtest:
    return backtest(CELLS, Prior(), 11, persons=150, particles=1500)


def test_forecasts_cover_as_they_promise_at_every_update(right: Backtest) -> None:
    """All bands together have a false-alarm rate of 0.001."""
    assert len(right.coverage) == 4 * 2 * 3
    outside = [check for check in (*right.coverage, *right.calibration) if not check.within]
    assert not outside


def test_ranks_are_uniform(right: Backtest) -> None:
    """Kolmogorov-Smirnov at 1e-4 for 8 series: false-alarm rate 8e-4."""
    for ranks in right.ranks.values():
        for k in range(ranks.shape[1]):
            assert kstest(ranks[:, k], "uniform").pvalue > 1e-4


def test_every_person_is_told_a_chance_at_every_stage(right: Backtest) -> None:
    for seen in (0, 2, 3):
        groups = [group for group in right.calibration if group.seen == seen]
        assert sum(group.persons for group in groups) == right.persons
    total = {group.seen: 0 for group in right.calibration}
    for group in right.calibration:
        total[group.seen] += group.responded
    assert len(set(total.values())) == 1


class Overconfident(Prior):
    """The prior with a tenth of the scatter between persons, for forecasts only."""

    def draw(self, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
        drawn = super().draw(seed, replicates)
        return drawn if len(replicates) < 200 else {**drawn, "sd_course": 0.1 * drawn["sd_course"]}


def test_overconfident_forecasts_are_found_out() -> None:
    """The power of the check: forecasts without most of the own course leave the bands."""
    known: Belief = Overconfident()
    wrong = backtest(CELLS, known, 12, persons=80, months=(3.0, 12.0), particles=1000)
    assert any(not check.within for check in wrong.coverage if check.level == 0.95)


def test_forecasts_cover_where_little_is_known() -> None:
    """Unknown age, sex, grade, body-mass index and function are integrated; false-alarm rate 0.001."""
    found = backtest(CELLS, Prior(), 13, persons=80, months=(1.0, 6.0), known=("pain",), particles=1000)
    assert found.within
    summary: Mapping[str, object] = found.to_dict()
    assert "ranks" not in summary
