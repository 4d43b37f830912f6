"""Parts of an outlook against closed forms and independent computations."""

import csv
from importlib.resources import files
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2

from stemtrial.calibration.belief import Prior
from stemtrial.candidate import duration as module
from stemtrial.candidate.applicability import applicability
from stemtrial.candidate.options import PRODUCTS, combine, harms, named, standard
from stemtrial.candidate.participants import ArmMoments, participants
from stemtrial.candidate.person import Person, reading_model, virtual
from stemtrial.candidate.spread import Widening
from stemtrial.candidate.summaries import (
    between_and_within,
    distribution,
    explained_by_trial,
    interval,
    quantiles,
)
from stemtrial.population.covariates import correlations
from stemtrial.population.patients import enrol


def rows(name: str) -> list[dict[str, str]]:
    with files("stemtrial.evidence").joinpath(f"data/{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_participants_are_pooled_over_persons_of_randomised_trials() -> None:
    trials = {r["trial_id"] for r in rows("trials") if r["indication"] == "knee_oa" and r["design"] == "rct"}
    arms = [r for r in rows("arms") if r["trial_id"] in trials and r["bmi_mean"] and r["n"]]
    assert not any(r["pooled_of"] for r in arms)  # so that nobody is counted twice below
    n, mean = np.array([float(r["n"]) for r in arms]), np.array([float(r["bmi_mean"]) for r in arms])
    printed = [(float(r["n"]), float(r["bmi_sd"])) for r in arms if r["bmi_sd"]]
    within = sum(k * s**2 for k, s in printed) / sum(k for k, _ in printed)
    spec = participants("knee_oa").spec
    assert spec.bmi.mean == pytest.approx((n * mean).sum() / n.sum())
    assert spec.bmi.sd**2 == pytest.approx(within + (n * (mean - spec.bmi.mean) ** 2).sum() / n.sum())


def test_a_pooled_arm_is_not_counted_beside_its_parts() -> None:
    people = participants("knee_oa")
    seen = {(m.trial_id, m.arm_id) for m in people.arms["age"]}
    parts = {
        (r["trial_id"], p)
        for r in rows("arms")
        for p in r["pooled_of"].split(";")
        if (r["trial_id"], r["arm_id"]) in seen
    }
    assert parts
    assert not parts & seen


def test_range_is_that_of_the_widest_arm() -> None:
    people = participants("knee_oa")
    widest = min(people.arms["age"], key=lambda m: m.mean - 1.96 * (m.sd or people.within_sd("age")))
    assert isinstance(widest, ArmMoments)
    assert people.range("age")[0] == pytest.approx(
        widest.mean - 1.96 * (widest.sd or people.within_sd("age"))
    )
    assert people.range("pain")[1] == 100  # never beyond the scale


def test_distance_is_that_of_mahalanobis() -> None:
    people = participants("knee_oa")
    person = Person("knee_oa", age=70, bmi=34, pain=40)
    spec = people.spec
    moments = [
        (spec.age.mean, spec.age.sd),
        (spec.bmi.mean, spec.bmi.sd),
        (spec.baseline_pain.mean, spec.baseline_pain.sd),
    ]
    mean, sd = (np.array(column) for column in zip(*moments, strict=True))
    corr = correlations()[np.ix_([0, 1, 4], [0, 1, 4])]
    expected = mahalanobis([70, 34, 40], mean, np.linalg.inv(corr * np.outer(sd, sd)))
    found = applicability(person, people)
    assert found.distance == pytest.approx(expected)
    assert found.farther == pytest.approx(chi2.sf(expected**2, 3))
    assert found.unknown == ("female", "grade")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"age": 58, "bmi": 27, "pain": 55, "grade": 3}, "inside"),
        ({}, "inside"),
        ({"bmi": 37}, "edge"),
        ({"bmi": 45}, "outside"),
        ({"grade": 4}, "edge"),
        ({"grade": 0}, "outside"),
        ({"age": 79.0, "bmi": 38.5, "pain": 95.0}, "outside"),
    ],
)
def test_place_among_the_participants(values: dict[str, float], place: str) -> None:
    found = applicability(Person("knee_oa", **values), participants("knee_oa"))  # type: ignore[arg-type]
    assert found.place == place
    assert found.text


def test_a_grade_that_a_trial_admits_is_not_outside() -> None:
    admits = [
        r["reference_id"]
        for r in rows("criteria")
        if r["rule"].startswith("include_if kl_grade in") and "4" in r["rule"]
    ]
    people = participants("knee_oa")
    assert people.admitted[4] == tuple(admits) == ("mautner_2023",)
    found = applicability(Person("knee_oa", grade=4), people)
    assert "admitted by Mautner 2023" in found.text
    assert applicability(Person("knee_oa", grade=2), people).standings[0].admitted == ()


def test_options_stand_in_their_order_comparators_first() -> None:
    names = [option.name for option in standard("knee_oa")]
    assert names[:5] == ["education_exercise", "nsaid", "corticosteroid", "hyaluronic_acid", "saline"]
    assert len(names) == 5 + len(PRODUCTS)
    assert len(set(names)) == len(names)


def test_dose_of_a_product_is_the_median_of_its_arms() -> None:
    trials = {r["trial_id"] for r in rows("trials") if r["indication"] == "knee_oa"}
    for option, product in zip(standard("knee_oa")[5:], PRODUCTS, strict=True):
        arms = [
            r
            for r in rows("arms")
            if r["trial_id"] in trials and (r["product"], r["cell_source"], r["origin"]) == product
        ]
        doses = [float(r["dose_million_cells"]) for r in arms if r["dose_million_cells"]]
        if len(doses) < 3:
            assert option.text is not None
            assert not option.treatments
        else:
            (cells,) = option.treatments
            assert cells.dose_million == median(doses)  # type: ignore[attr-defined]
            assert f"{len(doses)} published arms" in (option.dose_note or "")


def test_context_of_an_option_keeps_what_is_not_its_own_action() -> None:
    by_name = {option.name: option for option in standard("knee_oa")}
    saline = by_name["saline"].schedule
    for name in ("corticosteroid", "hyaluronic_acid", "autologous_culture_expanded_adipose"):
        assert by_name[name].context == saline
    assert by_name["saline"].context == saline
    assert by_name["nsaid"].context.events != ()


def test_combination_holds_both() -> None:
    (both,) = named("knee_oa", ["education_exercise+corticosteroid"])
    exercise, steroid = named("knee_oa", ["education_exercise", "corticosteroid"])
    assert both == combine(exercise, steroid)
    assert both.treatments == exercise.treatments + steroid.treatments


def test_harms_are_those_of_the_option() -> None:
    found = {o.name: {h.treatment for h in harms(o, "knee_oa")[0]} for o in standard("knee_oa")}
    assert found["education_exercise"] == {"exercise"}  # counted in a trial, no row of the table of harms
    marrow = found["autologous_culture_expanded_bone_marrow"]
    assert "bone_marrow_harvest" in marrow
    assert not {"fat_harvest", "ia_bmac"} & marrow
    assert "ia_bmac" in found["autologous_bmac_bone_marrow"]
    assert "fat_harvest" in found["autologous_svf_adipose"]
    assert not {"fat_harvest", "bone_marrow_harvest"} & found["allogeneic_culture_expanded_adipose"]
    for option in standard("knee_oa"):
        lines, note = harms(option, "knee_oa")
        assert bool(lines) or note is not None
        for line in lines:
            if line.source == "trials" and line.value == 0:
                assert line.upper_if_none is not None
                assert line.upper_if_none > 0


def test_quantiles_with_equal_weights_are_the_usual_ones() -> None:
    x = np.random.default_rng(1).normal(size=999)
    found = quantiles(x, np.full(999, 1 / 999), (0.025, 0.5, 0.9))
    assert found == pytest.approx(np.quantile(x, (0.025, 0.5, 0.9), method="hazen"), abs=1e-12)


def test_weights_count_as_copies() -> None:
    values = np.array([[1.0, 2.0], [5.0, 6.0], [7.0, 9.0]])
    once = distribution(np.repeat(values, [1, 3, 2], axis=0), np.full(6, 1 / 6))
    weighted = distribution(values, np.array([1, 3, 2]) / 6)
    assert (weighted.mean, weighted.sd) == pytest.approx((once.mean, once.sd))
    assert interval(np.array([1.0, np.nan, 3.0]), np.array([0.25, 0.5, 0.25])).estimate == 2


def test_variance_between_draws_is_free_of_the_chance_of_few_patients() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 2, (20000, 1)) + rng.normal(0, 6, (20000, 5))
    _, between, within = between_and_within(values, np.full(20000, 1 / 20000))
    # Standard errors: of `between` about sqrt(2/20000) (4 + 36/5) = 0.11, of `within` 36 sqrt(2/80000) = 0.18.
    assert between == pytest.approx(4, abs=0.5)
    assert within == pytest.approx(36, abs=0.8)


def test_share_explained_by_the_trial_is_that_of_its_constants() -> None:
    rng = np.random.default_rng(3)
    constants = {
        "ctx_Emax": rng.normal(9, 7, 4000),
        "k_B": np.exp(rng.normal(0, 0.8, 4000)),
        "cell_effect": np.exp(rng.normal(0, 0.5, 4000)),
    }
    weight = np.full(4000, 1 / 4000)
    trial = -constants["ctx_Emax"] + 3 * np.log(constants["cell_effect"]) ** 2
    other = rng.normal(0, trial.std(), 4000)
    assert explained_by_trial(trial, weight, constants) == pytest.approx(1)
    assert explained_by_trial(trial + other, weight, constants) == pytest.approx(0.5, abs=0.06)  # 5 SE
    assert explained_by_trial(other, weight, constants) < 0.02


def test_months_of_benefit_of_known_courses() -> None:
    better = np.zeros((len(module.GRID), 1, 3), bool)
    better[:, 0, 0] = True
    better[module.GRID.index(12.0) :, 0, 1] = True
    months = module._months(better)[0]
    # All the time: half of the first half month is on the way. From month 12: half of months 9 to 12.
    assert months.tolist() == [23.75, 13.5, 0.0]


def test_lasting_is_counted_among_those_who_responded() -> None:
    """Two draws with the same true courses and no deviations: shares are those of the courses."""
    grid = module.GRID
    pain = np.full((len(grid), 2, 4), 60.0)
    pain[grid.index(3.0), :, :2] = 40.0  # two of four respond at month 3
    pain[grid.index(12.0), :, :1] = 40.0  # one of them still at month 12
    pain[grid.index(24.0), :, 3] = 40.0  # and one late
    truth = SimpleNamespace(pain=pain, pain_at_start=np.full((2, 4), 60.0))
    still = np.zeros((len(grid), 2, 4))
    like = SimpleNamespace(
        weight=np.array([0.5, 0.5]),
        own_course=still,
        other_courses=lambda months, times: np.zeros((len(months), times, 2, 4)),
        amplitude=lambda month, added: np.ones((2, 1)),
    )
    found = module.duration(like, truth, truth, 14.0, Widening())  # type: ignore[arg-type]
    assert {m: i.estimate for m, i in found.lasting.items()} == {6.0: 0, 12.0: 50, 24.0: 0}
    assert {m: i.estimate for m, i in found.late.items()} == {6.0: 0, 12.0: 0, 24.0: 50}
    assert found.specific.estimate == 0


def test_pain_given_its_reading_is_as_enrolment_draws_it() -> None:
    constants = Prior().draw(1, np.arange(20))
    people = virtual(
        Person("knee_oa", age=60), participants("knee_oa"), constants, 1, np.arange(20), 50
    ).people
    centre, spread = reading_model(people.covariates, constants)
    drawn = enrol(people, constants, autologous=False).pain
    assert drawn == pytest.approx(np.clip(centre + spread * people.z[0], 1, 99), abs=1e-9)
