"""Arms of the shipped evidence: every primary row is used or left out, and converted numbers match hand arithmetic."""

import csv
import math
from importlib.resources import files

import pytest

from stemtrial.calibration.arms import Arms, Counts
from stemtrial.calibration.comparators import comparator_effects
from stemtrial.calibration.given import POOLED, given, grades_of
from stemtrial.calibration.published import COMPOSITE_RULES, published_arms
from stemtrial.evidence import load
from stemtrial.mechanism.schedule import DAYS_PER_MONTH, Kind

WEEK = 7 / DAYS_PER_MONTH


@pytest.fixture(scope="module", params=["knee_oa", "disc_degeneration"])
def arms(request):
    return published_arms(load(), request.param)


@pytest.fixture(scope="module")
def knee():
    return published_arms(load(), "knee_oa")


@pytest.fixture(scope="module")
def disc():
    return published_arms(load(), "disc_degeneration")


def arm(arms, trial_id, arm_id):
    (found,) = (each for each in arms.of(trial_id) if each.arm_id == arm_id)
    return found


def table(name):
    text = (files("stemtrial.evidence") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_nothing_is_skipped_silently(arms):
    """Readings used and left out add up to the primary rows of pain (and strict responders), arm by arm."""
    wanted = POOLED[arms.indication]
    trials = {row["trial_id"] for row in table("trials") if row["indication"] in wanted}
    keys = [
        (row["trial_id"], row["arm_id"])
        for row in table("outcomes")
        if row["trial_id"] in trials
        and (row["construct"] == "pain" or row["instrument"] in COMPOSITE_RULES)
        and row["analysis_set"] == "primary"
        and float(row["time_months"]) > 0
    ]
    used = [(each.trial_id, each.arm_id) for each in arms.arms for _ in each.readings]
    dropped = [(each.trial_id, each.arm_id) for each in arms.left_out for _ in range(each.readings)]
    assert sorted(used + dropped) == sorted(keys)
    known = {(each.trial_id, each.arm_id) for each in (*arms.arms, *arms.left_out)}
    assert known == {(row["trial_id"], row["arm_id"]) for row in table("arms") if row["trial_id"] in trials}


def test_rows_lead_back_to_the_table(arms):
    rows = table("outcomes")
    for each in arms.arms:
        for reading in each.readings:
            row = rows[reading.row - 1]
            assert (row["trial_id"], row["arm_id"]) == (each.trial_id, each.arm_id)
            assert (row["instrument"], row["reference_id"]) == (reading.instrument, reading.reference_id)


def test_counts(knee, disc):
    assert knee.count == Counts(trials=32, arms=66, levels=108, changes=77, responders=2)
    assert disc.count == Counts(trials=12, arms=14, levels=9, changes=7, responders=12)


def test_level_of_a_ten_point_scale(knee):
    """vega_2015 msc at 3 months: VAS 4.06 of 10, SD 2.72, 15 patients."""
    reading = arm(knee, "vega_2015", "msc").readings[0]
    assert (reading.month, reading.kind, reading.statistic, reading.n) == (3, "level", "mean", 15)
    assert (reading.value, reading.sd) == pytest.approx((40.6, 27.2))
    assert reading.se == pytest.approx(27.2 / math.sqrt(15))


def test_level_of_a_reversed_scale(knee):
    """zaffagnini_2022 mfat: KOOS 58.4 (15.9) before and 75.8 (17.4) at 6 months, higher better."""
    mfat = arm(knee, "zaffagnini_2022", "mfat")
    assert (mfat.baseline_mean, mfat.baseline_sd) == pytest.approx((41.6, 15.9))
    assert (mfat.readings[0].value, mfat.readings[0].sd) == pytest.approx((24.2, 17.4))


def test_change_on_a_twenty_point_scale_counted_from_the_last_injection(knee):
    """xlha_2017: WOMAC -3.2 (3.15) of 20 one week after the last of three weekly injections."""
    three = arm(knee, "xlha_2017", "hmwha")
    reading = three.readings[0]
    assert (reading.value, reading.sd) == pytest.approx((-16.0, 15.75))
    assert reading.kind == "change"
    assert reading.month == pytest.approx(0.23 + 0.46)
    one = arm(knee, "xlha_2017", "xlha").schedule.events
    assert [(e.kind, round(e.start / DAYS_PER_MONTH, 2)) for e in one] == [
        (Kind.CONTEXT_INJECTION, 0.0),
        (Kind.HYALURONIC_ACID, 0.46),
        (Kind.CONTEXT_INJECTION, 0.46),
    ]


def test_medians(knee):
    """richter_2024: median KOOS change 18.1 (95 % 11.1 to 26.4); lamoespinosa_2016: median with quartiles."""
    reading = arm(knee, "richter_2024", "mfat").readings[0]
    assert (reading.kind, reading.statistic, reading.sd) == ("change", "median", None)
    assert reading.value == pytest.approx(-18.1)
    assert reading.se == pytest.approx((26.4 - 11.1) / (2 * 1.96), rel=1e-4)
    reading = arm(knee, "lamoespinosa_2016", "msc_10m").readings[0]
    assert (reading.kind, reading.statistic, reading.value) == ("level", "median", pytest.approx(17.5))
    assert reading.se == pytest.approx(math.sqrt(math.pi / 2 / 10) * reading.sd)


def test_doubtful_spreads_are_unknown(knee):
    for trial_id in ("matas_2019", "ruane_2021"):
        cells = next(each for each in knee.of(trial_id) if each.intervention == "cell_therapy")
        assert all(r.sd is None and r.se is None and r.note for r in cells.readings)
        assert "sd" in cells.unknown


def test_interval_of_a_mean_gives_its_sd(knee):
    """ruane_2021 ha: change -1.56 of 10 (95 % -2.59 to -0.53), 15 patients, t of 14 degrees 2.1448."""
    reading = arm(knee, "ruane_2021", "ha").readings[0]
    assert reading.se == pytest.approx(10.3 / 2.1447867, rel=1e-6)


def test_responders_and_derived_baseline(disc):
    sham = arm(disc, "levi_2025", "sham")
    assert [(r.month, r.value, r.threshold_fraction) for r in sham.readings] == [
        (3, 0.33, 0.5),
        (6, 0.39, 0.5),
        (12, 0.56, 0.5),
    ]
    assert arm(disc, "orozco_2011", "bmmsc").baseline_mean == pytest.approx(49 / 0.71)


def test_percent_change_needs_a_baseline(knee, disc):
    reasons = {(each.trial_id, each.arm_id): each.reason for each in (*knee.left_out, *disc.left_out)}
    for key in (("gupta_2023", "msc_25m"), ("gornet_2024", "high")):
        assert "percent change, with no baseline" in reasons[key]


def test_what_has_no_input_leaves_the_other_arms(knee):
    assert [each.arm_id for each in knee.of("dorio_2021")] == ["saline"]
    reasons = {each.arm_id: each.reason for each in knee.left_out if each.trial_id == "dorio_2021"}
    assert reasons == {"prp": "prp has no input in the model", "plasma": "plasma has no input in the model"}


def test_conduct_of_the_trials(knee):
    assert all(each.same_patients for each in knee.of("shapiro_2018"))
    assert arm(knee, "kim_2023", "placebo").randomised
    assert not arm(knee, "heidari_2020", "mfat").randomised
    assert arm(knee, "kim_2023", "admsc").grades == {3: 1.0}
    assert arm(knee, "kim_2023", "admsc").unknown[0] == "dose_million"


def test_combinations_act_together():
    found = given("knee_oa", "cell_therapy", dose_million=25, n_injections=1, adjunct="hyaluronic_acid")
    assert found.schedule.actions == {Kind.CELLS, Kind.HYALURONIC_ACID}
    assert given("disc_degeneration", "cell_therapy", adjunct="hyaluronic_acid").schedule.actions == {
        Kind.CELLS
    }


@pytest.mark.parametrize(("intervention", "step"), [("hyaluronic_acid", WEEK), ("cell_therapy", 1.0)])
def test_injections_without_times(intervention, step):
    found = given("knee_oa", intervention, n_injections=3)
    starts = {event.start / DAYS_PER_MONTH for event in found.schedule.events}
    assert sorted(starts) == pytest.approx([0, step, 2 * step])
    assert "injection_times" in found.assumed


def test_courses_run_the_whole_trial():
    assert {event.stop for event in given("knee_oa", "nsaid").schedule.events} == {math.inf}
    assert given("knee_oa", "usual_care").schedule.events == ()


@pytest.mark.parametrize(
    ("text", "indication", "shares"),
    [
        ("2:1;3:3", "knee_oa", {2: 0.25, 3: 0.75}),
        ("III:2;IV:2", "disc_degeneration", {3: 0.5, 4: 0.5}),
        ("1-3:6", "knee_oa", {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}),
        ("VII:3;V:1", "disc_degeneration", None),
        ("5:3", "knee_oa", None),
    ],
)
def test_grades(text, indication, shares):
    assert grades_of(text, indication) == (shares and pytest.approx(shares))


def test_pooled_effects():
    found = {(e.treatment, round(e.month / WEEK)): e for e in comparator_effects(load(), "knee_oa").effects}
    assert set(found) == {
        ("exercise", 8),
        ("exercise", 26),
        ("corticosteroid", 12),
        ("opioid", 29),
        ("paracetamol", 6),
    }
    programme = found["exercise", 8]
    assert (programme.value, programme.n_trials) == (-12, 44)
    assert programme.se == pytest.approx(5 / 3.92, rel=1e-4)
    assert [event.stop for event in found["exercise", 26].schedule.events] == pytest.approx([56, 56])
    assert {e.kind for e in found["opioid", 29].comparator_schedule.events} == {Kind.CONTEXT_ORAL}
    disc = comparator_effects(load(), "disc_degeneration")
    assert [(e.treatment, e.value) for e in disc.effects] == [("exercise", -15), ("nsaid", -3.3)]


@pytest.mark.parametrize("indication", ["knee_oa", "disc_degeneration"])
def test_every_pooled_effect_is_used_or_left_out(indication):
    found = comparator_effects(load(), indication)
    rows = [r for r in table("effects") if r["indication"] in POOLED[indication] and r["outcome"] == "pain"]
    assert len(found.effects) + len(found.left_out) == len(rows)
    assert len({(e.treatment, e.month) for e in found.effects}) == len(found.effects)


def test_hash_depends_on_content_alone(knee):
    assert Arms(knee.indication, knee.arms[::-1]).hash == knee.hash
    assert knee.without(["kim_2023"]).hash != knee.hash
    assert published_arms(load(), "knee_oa").hash == knee.hash
