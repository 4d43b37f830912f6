"""What must hold for every outlook and every update, whatever the constants."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stemtrial.calibration.belief import Prior, belief
from stemtrial.candidate.ensemble import Ensemble
from stemtrial.candidate.options import combine, standard
from stemtrial.candidate.outlook import Outlook, outlook
from stemtrial.candidate.pairs import COMPARED
from stemtrial.candidate.participants import participants
from stemtrial.candidate.person import Person
from stemtrial.candidate.spread import widening
from stemtrial.candidate.summaries import average, between_and_within
from stemtrial.candidate.timepoint import MONTHS, RESPONSES, SHARES
from stemtrial.candidate.updating import PATIENTS, follow_up, track
from stemtrial.candidate.visits import Visit

PERSON = Person("knee_oa", age=62, female=True, bmi=29, grade=3, pain=64, function=58)
OPTIONS = standard("knee_oa")
KNOWN = belief("knee_oa")
CELLS = OPTIONS[5]


@pytest.fixture(scope="module")
def found() -> Outlook:
    return outlook(PERSON, OPTIONS, KNOWN, 3, draws=100, within=10)


def test_options_come_in_the_order_asked_for(found: Outlook) -> None:
    assert [o.name for o in found.options] == [o.name for o in OPTIONS]
    for option, asked in zip(found.options, OPTIONS, strict=True):
        assert (option.text is None) == (asked.text is None)
        assert tuple(point.month for point in option.course) == (MONTHS if option.text is None else ())


def test_every_distribution_is_ordered_and_on_the_scale(found: Outlook) -> None:
    for option in found.options:
        for point in option.course:
            for d in (point.pain, point.function):
                quantiles = [0, d.q025, d.q10, d.q25, d.q50, d.q75, d.q90, d.q975, 100]
                assert quantiles == sorted(quantiles)
                assert 0 <= d.mean <= 100
            assert point.change.mean == pytest.approx(point.pain.mean - 64)
            # Readings are clipped to the scale, expectations are not.
            assert point.moved == pytest.approx(point.change.mean - point.average, abs=3)
            for name in RESPONSES:
                share = point.responders[name]
                assert 0 <= share.low <= share.estimate <= share.high <= 100
            # From 64: 30 % are 19.2 points, the important difference is 14, 50 % are 32.
            order = [point.responders[name].estimate for name in ("fifty_percent", "thirty_percent", "mcid")]
            assert order == sorted(order)


def test_variance_falls_into_its_parts(found: Outlook) -> None:
    for option in found.options:
        for point in option.course:
            assert tuple(point.variance) == SHARES
            assert sum(point.variance.values()) == pytest.approx(1)
            assert min(point.variance.values()) >= 0


def test_persons_scatter_at_least_as_participants_do(found: Outlook) -> None:
    """Before clipping to the scale, which takes up to a point, the floor holds exactly."""
    floor = participants("knee_oa").residual_sd("pain")
    for option in found.options:
        for point in option.course:
            assert point.change.sd > floor - 1
            scatter = point.variance["person"] + point.variance["measurement"]
            assert point.widened >= 0
            assert scatter > 0.5


def test_saline_has_no_specific_part_and_cells_differ_from_it_by_theirs(found: Outlook) -> None:
    for month in MONTHS:
        saline, cells = found.option("saline").at(month), found.option(CELLS.name).at(month)
        assert (saline.specific.estimate, saline.specific.low, saline.specific.high) == (0, 0, 0)
        pairs = [p for p in found.pairs if (p.first, p.second, p.month) == ("saline", CELLS.name, month)]
        if month in COMPARED:
            assert pairs[0].difference.mean == pytest.approx(cells.specific.estimate)
    duration = found.option("saline").duration
    assert duration is not None
    assert duration.specific.estimate == 0


def test_pairs_cover_all_options_with_numbers_once(found: Outlook) -> None:
    names = [o.name for o in found.options if o.text is None]
    assert len(found.pairs) == len(COMPARED) * len(names) * (len(names) - 1) // 2
    for pair in found.pairs:
        total = pair.first_better + pair.no_important_difference + pair.second_better
        assert total == pytest.approx(1)
        assert pair.equipoise == (pair.no_important_difference >= 0.5)


def test_the_same_dose_of_the_same_kind_is_the_same_option() -> None:
    donor = [o for o in OPTIONS if o.name.startswith("allogeneic") and o.treatments]
    same = [o for o in donor if o.treatments[0].dose_million == donor[-1].treatments[0].dose_million]  # type: ignore[attr-defined]
    result = outlook(PERSON, tuple(same), KNOWN, 3, draws=100, within=10)
    assert len({point for option in result.options for point in [option.at(6.0).pain]}) == 1


def test_an_option_does_not_depend_on_which_others_are_shown(found: Outlook) -> None:
    alone = outlook(PERSON, (CELLS,), KNOWN, 3, draws=100, within=10)
    assert alone.option(CELLS.name) == found.option(CELLS.name)


def test_threads_and_repetition_change_nothing(found: Outlook) -> None:
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda _: outlook(PERSON, OPTIONS[:6], KNOWN, 3, 100, 10), range(3)))
    for other in again:
        assert other.options == found.options[:6]


def test_another_seed_is_another_sample(found: Outlook) -> None:
    other = outlook(PERSON, (CELLS,), KNOWN, 4, draws=100, within=10)
    assert other.option(CELLS.name).course != found.option(CELLS.name).course


def test_where_everything_is_unknown_nothing_moves() -> None:
    """The person is then an average participant; what is left is another time grid."""
    result = outlook(Person("knee_oa"), (CELLS,), KNOWN, 3, draws=100, within=10)
    assert all(point.moved == pytest.approx(0, abs=0.05) for point in result.options[0].course)
    assert result.applicability.unknown == ("age", "bmi", "female", "grade", "pain")


def test_more_pain_leaves_more_room() -> None:
    low, high = (
        outlook(Person("knee_oa", pain=pain), (CELLS,), KNOWN, 3, draws=100, within=10)
        for pain in (40.0, 80.0)
    )
    for month in MONTHS:
        assert high.options[0].at(month).change.mean < low.options[0].at(month).change.mean
        assert high.options[0].at(month).pain.mean > low.options[0].at(month).pain.mean


def test_outside_the_participants_there_is_text_and_no_number() -> None:
    person = Person("knee_oa", age=62, bmi=46, pain=64)
    result = outlook(person, OPTIONS, KNOWN, 3, draws=100, within=10)
    assert result.applicability.place == "outside"
    assert not result.pairs
    for option in result.options:
        assert (option.course, option.duration) == ((), None)
        assert option.text
        assert bool(option.harms) != bool(option.harms_note)
    update = follow_up(person, CELLS, [Visit(1, pain=50)], KNOWN, 3, particles=1000)
    assert (update.seen, update.ahead) == ((), ())
    assert update.text == result.applicability.text


def test_everything_can_be_written_as_json(found: Outlook) -> None:
    back = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [o["name"] for o in back["options"]] == [o.name for o in OPTIONS]
    update = follow_up(PERSON, CELLS, [Visit(1, pain=50)], KNOWN, 3, particles=1000)
    assert json.loads(json.dumps(update.to_dict(), allow_nan=False))["option"] == CELLS.name


def test_a_combination_is_more_than_its_context() -> None:
    both = combine(OPTIONS[0], CELLS)
    result = outlook(PERSON, (CELLS, both), KNOWN, 3, draws=100, within=10)
    alone, together = (o.at(3.0).specific.estimate for o in result.options)
    assert together < alone < 0


def test_without_visits_forecasts_are_those_before_any() -> None:
    update = follow_up(PERSON, CELLS, [], KNOWN, 3, particles=1000)
    assert [point.month for point in update.ahead] == list(MONTHS)
    for point in update.ahead:
        assert point.pain == point.before
        assert point.responders == point.responders_before
    assert (update.flag, update.early_response) == (None, None)


def test_visits_teach_in_their_direction_and_narrow() -> None:
    good, bad = (
        follow_up(PERSON, CELLS, [Visit(1, pain=p), Visit(3, pain=p)], KNOWN, 3, particles=2000)
        for p in (25.0, 62.0)
    )
    for after_good, after_bad in zip(good.ahead, bad.ahead, strict=True):
        assert after_good.before == after_bad.before
        assert after_good.pain.mean < after_bad.pain.mean
        assert after_good.responders["mcid"] > after_bad.responders["mcid"]
        assert after_bad.pain.sd < after_bad.before.sd
    assert (good.early_response, bad.early_response) == (True, False)
    assert good.lasting is not None
    assert bad.lasting is not None
    assert good.lasting > bad.lasting


def test_what_was_seen_later_does_not_change_earlier_forecasts() -> None:
    visits = [Visit(1, pain=50, function=45), Visit(3, pain=40)]
    one, two = (follow_up(PERSON, CELLS, visits[:k], KNOWN, 3, particles=1000) for k in (1, 2))
    assert two.seen[0].pain.mean == pytest.approx(one.seen[0].pain.mean, abs=0.05)  # the time grid differs
    ahead = next(point for point in one.ahead if point.month == 3)
    assert two.seen[1].pain.mean == pytest.approx(ahead.pain.mean, abs=0.05)


def test_a_course_that_leaves_its_band_is_flagged() -> None:
    update = follow_up(PERSON, CELLS, [Visit(1, pain=99, function=40)], KNOWN, 3, particles=1000)
    assert update.seen[0].outside == ("pain",)
    assert update.flag is not None
    assert "pain" in update.flag


def test_rescue_medicine_lowers_what_follows_and_not_what_went_before() -> None:
    visits = [Visit(1, pain=60), Visit(3, pain=58)]
    helped = [Visit(1, pain=60, rescue="nsaid"), Visit(3, pain=58)]
    without, with_rescue = (follow_up(PERSON, CELLS, v, KNOWN, 3, particles=1000) for v in (visits, helped))
    assert with_rescue.seen[0].pain == without.seen[0].pain
    assert with_rescue.seen[1].pain.mean < without.seen[1].pain.mean
    # Before any visit nobody knew of it; the time grid differs.
    assert with_rescue.ahead[0].before.mean == pytest.approx(without.ahead[0].before.mean, abs=0.05)


def test_few_particles_are_moved_where_the_course_is_strange() -> None:
    visits = [Visit(1, pain=5, function=10), Visit(3, pain=95, function=95), Visit(6, pain=2, function=5)]
    update = follow_up(PERSON, CELLS, visits, KNOWN, 3, particles=1000)
    assert any(step.accepted is not None for step in update.seen)
    again = follow_up(PERSON, CELLS, visits, KNOWN, 3, particles=1000)
    assert update == again


@pytest.mark.parametrize("function", [None, 55.0])
def test_no_forecast_is_narrower_than_the_participants_scatter(function: float | None) -> None:
    """Outlook and follow-up, with constants under which persons hardly differ and with those that are believed."""
    trials = participants("knee_oa")
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=3, pain=60, function=function)
    for known in (KNOWN, Alike()):
        before, _ = track(person, CELLS, (), MONTHS, known, 3, 1000)
        for month in MONTHS:
            for what in ("pain", "function"):
                within = before.forecast(month, what).within(PATIENTS)
                assert within >= (1 - 1e-9) * trials.residual_sd(what) ** 2
        like = Ensemble.like(person, trials, known.draw(3, np.arange(100)), 3, 10, MONTHS)
        truth = like.follow(CELLS.schedule)
        wider = widening(like, truth, trials)
        for k, month in enumerate(MONTHS):
            added, _ = wider.at(month)
            course = like.amplitude(month, added)[:, 0] ** 2 * like.course_variance(month)[:, 0]
            centre = truth.pain[k] + like.kept(month) * truth.fluctuation
            within = between_and_within(centre, like.weight)[2]
            within += average(course + like.momentary_variance(month)[:, 0], like.weight)
            assert within >= (1 - 1e-9) * trials.residual_sd("pain") ** 2
    assert wider.at(3.0)[0] > 0  # the persons that hardly differ were widened
    assert wider.at(0.0) == (0.0, 0.0)


def test_widening_is_no_part_of_what_is_known_before_treatment() -> None:
    person = Person("knee_oa", age=60, female=True, bmi=28, grade=3, pain=60, function=55)
    plain, _ = track(person, CELLS, (), MONTHS, Alike(), 3, 1000, widened=False)
    wide, _ = track(person, CELLS, (), MONTHS, Alike(), 3, 1000)
    assert np.array_equal(plain.log_weight, wide.log_weight)
    assert np.array_equal(plain.pain, wide.pain)
    for month in MONTHS:
        narrow, broad = (cloud.forecast(month, "pain") for cloud in (plain, wide))
        assert (broad.sd > narrow.sd).all()
        assert np.array_equal(broad.mean, narrow.mean)


class Alike(Prior):
    """The prior with persons who hardly differ in their own course."""

    def draw(self, seed: int, replicates: np.ndarray) -> dict[str, np.ndarray]:
        return {**super().draw(seed, replicates), "sd_course": np.full(len(replicates), 0.5)}
