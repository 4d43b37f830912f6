"""The document of an evaluation, its print-out, and the way back from a number to its sources."""

import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stemtrial.calibration.belief import belief
from stemtrial.candidate.assessment import assess, person_of
from stemtrial.candidate.explain import explain, resolve
from stemtrial.candidate.intake import Intake, read_candidates
from stemtrial.candidate.record import Candidate
from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.report.candidatepage import harm, render, together
from stemtrial.report.candidatewords import icons, option_words, telling

EXAMPLES = Path(__file__).parents[2] / "examples"
ORDER = ["education_exercise", "nsaid", "corticosteroid", "hyaluronic_acid", "saline"]


def evaluated(intake):
    document = assess(intake, load(), belief("knee_oa"), seed=3, draws=100).to_dict()
    return json.loads(json.dumps(document, allow_nan=False))


def example(name):
    (intake,) = read_candidates(EXAMPLES / f"candidate_{name}.yaml", date(2025, 7, 1))
    return evaluated(intake)


@pytest.fixture(scope="module")
def trial():
    return example("trial")


@pytest.fixture(scope="module")
def stop():
    return example("hard_stop")


@pytest.fixture(scope="module")
def outside():
    return example("out_of_range")


@pytest.fixture(scope="module")
def disc():
    record = Candidate.model_validate({"indication": "disc_degeneration", "age": 44, "modified_pfirrmann": 5})
    return evaluated(Intake(record, date(2025, 6, 30)))


class Reader(HTMLParser):
    """Collects the text of the sheets and the tags."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.sheets, self.style = [], [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "circle", "path"):
            self.open.append(tag)
        if tag == "section":
            self.sheets.append([])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.sheets and data.strip():
            self.sheets[-1].append(" ".join(data.split()))


def sheets(document):
    reader = Reader()
    page = render(document)
    reader.feed(page)
    assert reader.open == []
    return page, reader, [" ".join(sheet) for sheet in reader.sheets]


# ---- document -----------------------------------------------------------------------------------------------------


def test_options_stand_in_the_fixed_order_with_comparators_first(trial, outside):
    for document in (trial, outside):
        assert list(document["outlook"]["options"])[:5] == ORDER


def test_numbers_give_way_to_text(stop, outside, disc):
    for name, option in stop["outlook"]["options"].items():
        assert bool(option["course"]) is (name in ORDER)
        assert ("hard stop (malignancy)" in (option["text"] or "")) is (name not in ORDER)
    assert not any(option["course"] for option in outside["outlook"]["options"].values())
    assert all(option["text"] for option in outside["outlook"]["options"].values())
    assert disc["outlook"] is None
    assert "disc" in disc["outlook_text"]


def test_a_child_is_outside_what_the_model_is_made_for():
    child = Candidate.model_validate({"indication": "knee_oa", "age": 12})
    assert "outside" in person_of(child)


def test_function_enters_only_from_the_models_scale():
    def function(text):
        return person_of(Candidate.model_validate({"indication": "knee_oa", "function": text})).function

    assert function("WOMAC_function 34/68") == 50
    assert function("ODI 42/100") is None


def test_combinations_follow_the_options_on_request(trial):
    (intake,) = read_candidates(EXAMPLES / "candidate_trial.yaml", date(2025, 7, 1))
    asked = ["nsaid+education_exercise"]
    found = assess(intake, load(), belief("knee_oa"), seed=3, draws=100, also=asked).to_dict()
    assert list(found["outlook"]["options"]) == [*trial["outlook"]["options"], *asked]
    assert found["outlook"]["options"]["saline"] == trial["outlook"]["options"]["saline"]
    _, _, (first, second) = sheets(found)
    assert "NSAID by mouth + education and exercise" in first
    assert "Anti-inflammatory pills with Advice and exercise: the harms of each of the two count" in second
    assert "those of each part" in first
    with pytest.raises(InputError, match="is not an option"):
        assess(intake, load(), belief("knee_oa"), seed=3, draws=100, also=["nsaid+magnets"])


def test_visits_stand_beside_what_was_expected_of_them():
    record = Candidate.model_validate(
        {
            "indication": "knee_oa", "date": "2025-01-10", "age": 57, "pain": "58/100", "treated": "corticosteroid",
            "visits": [{"month": 1, "pain": "40/100"}, {"month": 3, "pain": "99/100", "rescue": "nsaid"}],
        }
    )  # fmt: skip
    found = evaluated(Intake(record, date(2025, 1, 10)))
    update = found["update"]
    assert [seen["visit"]["pain"] for seen in update["seen"]] == [40, 99]
    assert list(update["ahead"]) == ["6", "12", "24"]
    assert update["flag"].startswith("pain outside")
    _, _, (first, _) = sheets(found)
    assert "pain 99, expected" in first
    assert "— outside" in first
    origin = explain(found, "update.ahead.12.pain.mean", load())
    assert origin.fingerprint == belief("knee_oa").fingerprint


def test_same_seed_same_document(trial):
    assert example("trial") == trial


# ---- print-out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trial", "stop", "outside", "disc"])
def test_two_sheets_that_need_nothing_else(name, request):
    page, reader, found = sheets(request.getfixturevalue(name))
    assert len(found) == 2
    assert not [tag for tag, attrs in reader.tags if tag in ("script", "img", "iframe") or "src" in attrs]
    assert [a["href"] for tag, a in reader.tags if "href" in a] == ["data:,"]
    assert "@page" in page
    assert "never advice, never a verdict" in found[0]
    assert "It is not advice" in found[1]
    assert "What we do not know" in found[1]
    assert "Questions to ask" in found[1]
    assert "go up to" in found[1]


def test_every_number_of_the_outlook_stands_on_the_first_sheet(trial):
    _, _, (first, second) = sheets(trial)
    course = trial["outlook"]["options"]["saline"]["course"]
    for month in ("1", "3", "6", "12", "24"):
        pain = course[month]["pain"]
        assert f"{pain['q50']:.0f} ({pain['q025']:.0f}–{pain['q975']:.0f})" in first
    share = course["12"]["responders"]["mcid"]
    assert f"{share['estimate']:.0f} ({share['low']:.0f}–{share['high']:.0f})" in first
    assert f"{round(share['low'])} to {round(share['high'])} of 100" in second
    names = [option_words(name) for name, option in trial["outlook"]["options"].items() if option["course"]]
    places = [second.index(name) for name in names]
    assert places == sorted(places)


def test_states_are_told_apart_by_signs_not_by_colour(stop):
    page, _, (first, second) = sheets(stop)
    counted = sum(trial["not_met"] for trial in stop["suitability"]["trials"])
    assert 0 < page.count('class="no"') <= counted
    assert page.count('title="not met">✗') == page.count('class="no"')
    assert "malignancy: STOP" in first
    assert "Stop: cancer" in second


def test_text_of_the_record_is_escaped(trial):
    document = json.loads(json.dumps(trial))
    document["record"]["what_matters"] = ["<script>alert(1)</script> & more"]
    page, reader, _ = sheets(document)
    assert "&lt;script&gt;" in page
    assert not [tag for tag, _ in reader.tags if tag == "script"]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 100), (17, 80), (100, 100)])
def test_icons_are_a_hundred(low, high):
    drawn = str(icons(low, high))
    assert drawn.count('fill="none"') == 100 - low
    assert drawn.count("<path") == high - low
    assert drawn.count("<circle") == 100


def syllables(word):
    word = re.sub(r"(?<=[^l])e$|es$", "", word.lower())
    return max(1, len(re.findall(r"[aeiouy]+", word)))


def reading_grade(text):
    """Flesch-Kincaid grade (Kincaid et al. 1975) of whole sentences; 6 to 7 is the school year of age 12."""
    sentences = [s for s in re.split(r"[.?!]+(?:\s|$)", text) if re.search(r"[a-z]", s)]
    words = re.findall(r"[A-Za-z]+", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@pytest.mark.parametrize("name", ["trial", "stop", "outside", "disc"])
def test_the_plain_sheet_reads_at_about_twelve_years(name, request):
    document = request.getfixturevalue(name)
    _, reader, _ = sheets(document)
    parts = [part for part in reader.sheets[1] if part[-1] in ".?!" and len(part.split()) > 4]
    assert len(parts) > 12
    assert reading_grade(" ".join(parts)) < 6
    assert reading_grade(document["statement"]) > 8


def test_harms_prefer_counts_of_a_hundred_and_show_bounds():
    def counted(value, persons, months="above 6 to 12 months", **more):
        return {
            "source": "trials",
            "event": "serious_any",
            "measure": "events per 1,000",
            "severity": None,
            "treatment": "pill",
            "value": value,
            "low": 0.0,
            "high": 9.0,
            "upper_if_none": None,
            "time_at_risk": months,
            "population": f"{persons} persons of 2 trials",
        } | more

    printed = {
        "source": "literature",
        "event": "stroke",
        "severity": "serious",
        "measure": "per 1,000 person-years",
    }
    review = counted(9.5, 1) | printed
    few, many, none = (
        counted(111, 27),
        counted(7, 300, "above 1 to 6 months"),
        counted(0, 200, upper_if_none=18.2),
    )
    assert telling([few, many, review], serious=True) == [many]
    assert telling([few, review], serious=True) == [review]
    assert telling([few, review | {"treatment": "pill_50_mg"}, review], serious=True) == [review]
    assert telling([few], serious=True) == [few]
    assert harm([none], serious=True) == "0 (to 18)ᵃ"
    assert harm([review], serious=True) == "9.5 stroke a year"
    assert harm([], serious=True) == "not counted"
    assert together(["own BMAC", "own SVF"]) == "own BMAC, own SVF"


# ---- the way back -------------------------------------------------------------------------------------------------


def test_a_failed_rule_leads_to_its_rows(stop):
    origin = explain(stop, "suitability.failing[0].value", load())
    rows = [load().criteria[row.row - 1] for row in origin.rows]
    assert {row.rule for row in rows} == {
        "exclude_if bmi > 30.5",
        "exclude_if bmi > 30",
        "include_if 20 <= bmi <= 30",
    }
    assert all(row.reference_id in origin.citations[i] for i, row in enumerate(rows))
    assert origin.belief is None


def test_a_simulated_number_leads_to_belief_seed_and_dose(trial):
    name = "allogeneic_culture_expanded_bone_marrow"
    origin = explain(trial, f"outlook.options.{name}.course.12.pain.mean", load())
    assert (origin.belief, origin.fingerprint, origin.seed) == (
        belief("knee_oa").label,
        belief("knee_oa").fingerprint,
        3,
    )
    doses = sorted(load().arms[row.row - 1].dose_million_cells for row in origin.rows)
    middle = (doses[(len(doses) - 1) // 2] + doses[len(doses) // 2]) / 2
    assert f"{middle:g} million cells" in trial["outlook"]["options"][name]["dose_note"]


def test_a_counted_harm_leads_to_its_events(trial):
    lines = trial["outlook"]["options"]["saline"]["harms"]
    index = next(
        i for i, line in enumerate(lines) if line["source"] == "trials" and line["event"] == "any_ae"
    )
    origin = explain(trial, f"outlook.options.saline.harms.{index}.value", load())
    events = [load().events[row.row - 1] for row in origin.rows]
    rate = 1000 * sum(e.n_with_event for e in events) / sum(e.n_at_risk for e in events)
    assert rate == pytest.approx(lines[index]["value"])


def test_harms_without_an_outlook_are_traced_too(disc):
    (index,) = [i for i, line in enumerate(disc["harms"]["disc_cells"]) if line["event"] == "infection"]
    (row,) = explain(disc, f"harms.disc_cells[{index}].value", load()).rows
    assert (row.table, load().harms[row.row - 1].value) == ("harms", pytest.approx(0.74))


def leaves(data, path=""):
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from leaves(value, f"{path}.{key}" if path else str(key))
    if not isinstance(data, dict | list):
        yield path, data


GIVEN = ("record", "row", "assessed", "unmapped", "ignored_fields", "evidence_until", "outlook.person")
"""What was read from the file or counted in the tables, and needs no further source."""

SETTINGS = ("seed", "draws", "within", "effective_draws")


@pytest.mark.parametrize("name", ["trial", "stop", "outside", "disc"])
def test_any_number_leads_to_a_posterior_or_to_rows(name, request):
    """A random sample of the numbers of a document, at least one of each kind of place."""
    document = request.getfixturevalue(name)
    numbers = [
        path
        for path, value in leaves(document)
        if isinstance(value, int | float) and not isinstance(value, bool) and not path.startswith(GIVEN)
    ]
    kinds = {}
    for path in np.random.default_rng(1).permutation(numbers):
        kinds.setdefault(re.sub(r"\.\d+(?=\.|$)", "", str(path)).split(".", 3)[-1], []).append(str(path))
    chosen = [path for paths in kinds.values() for path in paths[:2]][:250]
    assert chosen
    for path in chosen:
        origin = explain(document, path, load())
        assert origin.how != "the evaluation itself", path
        setting = path.split(".")[-1] in SETTINGS and path.count(".") < 2
        zero = path.startswith(("outlook.applicability.distance", "outlook.applicability.farther"))
        assert setting or zero or origin.fingerprint or origin.rows or path.startswith("suitability"), path
        for row in origin.rows:
            assert getattr(load(), row.table)[row.row - 1].reference_id == row.reference_id


def test_covariates_of_the_participants_lead_to_their_own_rows(outside):
    standings = outside["outlook"]["applicability"]["standings"]
    place = [standing["covariate"] for standing in standings].index("age")
    origin = explain(outside, f"outlook.applicability.standings[{place}].high", load())
    assert {row.table for row in origin.rows} == {"arms"}
    assert all(load().arms[row.row - 1].age_mean is not None for row in origin.rows)
    grade = [standing["covariate"] for standing in standings].index("grade")
    rules = explain(outside, f"outlook.applicability.standings[{grade}].place", load()).rows
    assert "include_if kl_grade in {2,3,4}" in {row.says for row in rules}


def test_checks_are_quoted_with_their_own_constants_alone(trial):
    made = {"text": "58 of 100 predicted, 52 observed", "left_out": {"outcome_rows": [1], "all": {
        "predicted": 58.0, "observed": 52.0, "trials": 14}}, "simulated": {}}  # fmt: skip
    known = json.loads(json.dumps(trial)) | {"checks": made}
    _, _, (first, second) = sheets(known)
    assert "Checks: 58 of 100 predicted, 52 observed" in first
    assert "is not claimed" in first
    assert "We would have said 58 of 100 get better. It was 52." in second
    origin = explain(known, "checks.left_out.all.predicted", load())
    assert (origin.fingerprint, [(row.table, row.row) for row in origin.rows]) == (
        belief("knee_oa").fingerprint, [("outcomes", 1)],
    )  # fmt: skip
    _, _, (first, second) = sheets(known | {"checks": None})
    assert "were not compared with these constants" in first
    assert "past studies" not in second


def test_a_wrong_field_is_told_with_its_neighbours(trial):
    with pytest.raises(InputError, match="did you mean `saline`"):
        resolve(trial, "outlook.options.salin")
    with pytest.raises(InputError, match="is a single value"):
        resolve(trial, "assessed.year")
