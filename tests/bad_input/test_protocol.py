"""Every fault of a trial file is one message: line, field, value, what is allowed and what to do."""

from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.documents import Document
from stemtrial.errors import InputError, Problem
from stemtrial.trial.protocol import Trial

EXAMPLE = (Path(__file__).parents[2] / "examples" / "knee_oa_cells_vs_saline.yaml").read_text(
    encoding="utf-8"
)
CELLS = (
    "{source: bone_marrow, origin: autologous, product: culture_expanded, dose_million: 50, at_months: [0]}"
)


class Fault(NamedTuple):
    """One edit of the example and what the message must hold; ``line`` is that of the edit unless given."""

    old: str
    new: str
    field: str
    value: object
    what: str
    allowed: str | None = None
    hint: str | None = None
    line: int | None = None


FAULTS = {
    "unknown field": Fault(
        "blinding: double",
        "blinded: double",
        "blinded",
        "double",
        "not a known field",
        "blinding",
        "mean `blinding`",
    ),
    "unknown field below": Fault(
        "sd: 9,", "std: 9,", "population.age.std", 9, "not a known field", "mean, sd, min, max", "mean `sd`"
    ),
    "field from nowhere": Fault(
        "sides: 2", "sides: 2\n  zzz: 1", "question.zzz", 1, "not a known field", "alpha, sides", "remove it"
    ),
    "no blank after the colon": Fault(
        "{mean: 58, sd: 9,",
        "{mean: 58, sd:9,",
        "population.age.sd:9",
        None,
        "not a known field",
        None,
        "blank after",
    ),
    "missing field": Fault(
        "  alpha: 0.05\n",
        "",
        "question.alpha",
        None,
        "is missing",
        "above 0 and below 0.5",
        "add `alpha: 0.05`",
        30,
    ),
    "missing rescue": Fault(
        "  rescue_analgesia: {pain_above: 70, drug: nsaid}   # null for none\n",
        "",
        "conduct.rescue_analgesia",
        None,
        "is missing",
        None,
        "`null` for none",
        26,
    ),
    "empty value": Fault(
        "  alpha: 0.05", "  alpha:", "question.alpha", None, "is empty", "above 0", "`0.05`"
    ),
    "text for a number": Fault(
        "n: 120", 'n: "120"', "arms.saline.n", "120", "is a text, not a whole number", "2 to 100000"
    ),
    "decimals for a count": Fault(
        "n: 120", "n: 120.5", "arms.saline.n", 120.5, "with decimals, not a whole number", "2 to 100000"
    ),
    "truth for a number": Fault(
        "female: 0.55", "female: true", "population.female", True, "is true or false, not a number", "0 to 1"
    ),
    "number for a text": Fault(
        "title: Expanded", "title: 12 #", "title", 12, "is a whole number, not a text"
    ),
    "not finite": Fault(
        "female: 0.55", "female: .nan", "population.female", "nan", "not a finite number", "0 to 1"
    ),
    "infinite": Fault(
        "sd: 4, max: 35", "sd: 4, max: .inf", "population.bmi.max", "inf", "not a finite number"
    ),
    "no patients": Fault("n: 120", "n: 0", "arms.saline.n", 0, "out of range", "2 to 100000"),
    "negative dose": Fault(
        "dose_million: 50",
        "dose_million: -1",
        "arms.cells.treatments[0].cells.dose_million",
        -1,
        "out of range",
        "above 0 and up to 2000",
    ),
    "KL 5": Fault(
        "{2: 0.45, 3: 0.55}",
        "{2: 0.45, 5: 0.55}",
        "population.kl_grade.5",
        0.55,
        "does not have",
        "1, 2, 3, 4",
    ),
    "grade that is no number": Fault(
        "{2: 0.45, 3: 0.55}",
        "{2: 0.45, three: 0.55}",
        "population.kl_grade.three",
        None,
        "not a name that",
        "a whole number",
    ),
    "shares": Fault(
        "{2: 0.45, 3: 0.55}",
        "{2: 0.45, 3: 0.50}",
        "population.kl_grade",
        "{2: 0.45, 3: 0.5}",
        "sum to 0.95",
        "a sum of 1",
    ),
    "grading of the other indication": Fault(
        "kl_grade: {2: 0.45",
        "pfirrmann: {2: 0.45",
        "population.pfirrmann",
        "{2: 0.45, 3: 0.55}",
        "knee_oa",
        None,
        "kl_grade",
    ),
    "mean outside the limits": Fault(
        "mean: 58, sd: 9", "mean: 80, sd: 9", "population.age.mean", 80, "not inside", "above 40 and below 75"
    ),
    "limits crossed": Fault(
        "max: 75", "max: 30", "population.age.min", 40, "not below the largest", "below 30"
    ),
    "pain above its scale": Fault(
        "sd: 14, min: 40",
        "sd: 14, min: 40, max: 120",
        "population.baseline_pain.max",
        120,
        "out of range",
        "0 to 100",
    ),
    "spread that no patients can have": Fault(
        "sd: 14, min: 40",
        "sd: 20, min: 40",
        "population.baseline_pain.sd",
        20,
        "too large",
        "up to 14",
        "sd is that",
    ),
    "vocabulary": Fault(
        "VAS", "WOMAC", "question.endpoint.instrument", "WOMAC", "vocabulary", "VAS, NRS, WOMAC_pain"
    ),
    "capitals": Fault(
        "blinding: double", "blinding: Double", "blinding", "Double", "vocabulary", None, "mean `double`"
    ),
    "sides": Fault("sides: 2", "sides: 3", "question.sides", 3, "not in the vocabulary", "1, 2"),
    "unknown treatment": Fault(
        "- saline: {",
        "- salin: {",
        "arms.saline.treatments[0].salin",
        "{'at_months': [0]}",
        "known treatment",
        "prp",
        "`saline`",
    ),
    "treatment without fields": Fault(
        "- saline: {at_months: [0]}",
        "- saline",
        "arms.saline.treatments[0]",
        "saline",
        "lacks its fields",
        None,
        "saline: {",
    ),
    "two treatments in one entry": Fault(
        "- saline: {at_months: [0]}",
        "- {saline: {at_months: [0]}, usual_care: {}}",
        "arms.saline.treatments[0]",
        "{'saline'",
        "names 2 treatments",
        None,
        "one treatment an entry",
    ),
    "number for a list": Fault(
        "- saline: {at_months: [0]}",
        "- saline: {at_months: 0}",
        "arms.saline.treatments[0].saline.at_months",
        0,
        "not a list",
        "1 to 24 entries",
        "`[0]`",
    ),
    "months not in order": Fault(
        "- saline: {at_months: [0]}",
        "- saline: {at_months: [3, 0]}",
        "arms.saline.treatments[0].saline.at_months[1]",
        0,
        "does not come after",
        None,
        "increasing order",
    ),
    "injection at the last visit": Fault(
        "- saline: {at_months: [0]}",
        "- saline: {at_months: [0, 12]}",
        "arms.saline.treatments[0].saline.at_months[1]",
        12,
        "the last visit is in month 12",
        "before month 12",
    ),
    "programme after the last visit": Fault(
        "- saline: {at_months: [0]}",
        "- exercise: {from_month: 0, to_month: 13}",
        "arms.saline.treatments[0].exercise.to_month",
        13,
        "the last visit is in month 12",
        "up to month 12",
    ),
    "course that ends before it starts": Fault(
        "- saline: {at_months: [0]}",
        "- nsaid: {from_month: 3, to_month: 1}",
        "arms.saline.treatments[0].nsaid.to_month",
        1,
        "not after the start in month 3",
        "above 3",
    ),
    "treatment twice": Fault(
        "- saline: {at_months: [0]}",
        "- saline: {at_months: [0]}\n      - saline: {at_months: [3]}",
        "arms.saline.treatments[1].saline",
        "{'at_months': [3]}",
        "declared twice",
        None,
        "one entry",
    ),
    "courses that overlap": Fault(
        "- saline: {at_months: [0]}",
        "- nsaid: {from_month: 0}\n      - nsaid: {from_month: 6}",
        "arms.saline.treatments[1].nsaid.from_month",
        6,
        "before the course of the same treatment",
        None,
        "join",
        18,
    ),
    "no treatments": Fault(
        "treatments:\n      - saline: {at_months: [0]}",
        "treatments: []",
        "arms.saline.treatments",
        "[]",
        "has 0 entries",
        "1 to 20 entries",
        "usual_care",
    ),
    "name of an arm": Fault(
        "  saline:\n", "  1st arm:\n", "arms.1st arm", None, "not a name that", "40 letters"
    ),
    "visit after 24 months": Fault(
        "9, 12]", "9, 30]", "visits_months[4]", 30, "out of range", "above 0 and up to 24"
    ),
    "visit at baseline": Fault(
        "[1, 3, 6", "[0, 3, 6", "visits_months[0]", 0, "out of range", "above 0 and up to 24"
    ),
    "visits not in order": Fault("9, 12]", "9, 9, 12]", "visits_months[4]", 9, "does not come after"),
    "no visits": Fault("[1, 3, 6, 9, 12]", "[]", "visits_months", "[]", "has 0 entries", "1 to 60 entries"),
    "everybody drops out": Fault(
        "dropout_by_month_12: 0.12",
        "dropout_by_month_12: 1",
        "conduct.dropout_by_month_12",
        1,
        "range",
        "below 1",
    ),
    "endpoint without a visit": Fault(
        "month: 12}",
        "month: 10}",
        "question.endpoint.month",
        10,
        "is not a visit",
        "1, 3, 6, 9, 12",
        "visits_months",
    ),
    "comparator that is no arm": Fault(
        "[cells, saline]",
        "[cells, placebo]",
        "question.compare[1]",
        "placebo",
        "is not an arm",
        "saline, cells",
    ),
    "arm against itself": Fault(
        "[cells, saline]", "[cells, cells]", "question.compare", "['cells', 'cells']", "with itself"
    ),
    "one name to compare": Fault("[cells, saline]", "[cells]", "question.compare[1]", None, "is missing"),
    "three names to compare": Fault(
        "[cells, saline]",
        "[cells, saline, x]",
        "question.compare",
        "['cells', 'saline', 'x']",
        "has 3 entries",
        "2 entries",
    ),
    "outcome of the other indication": Fault(
        "VAS", "ODI", "question.endpoint.instrument", "ODI", "not an outcome of knee_oa", "WOMAC_function"
    ),
    "disc cells for a knee": Fault(
        CELLS,
        "{source: disc, origin: allogeneic, product: disc_cell, dose_million: 6, at_months: [0]}",
        "arms.cells.treatments[0].cells.source",
        "disc",
        "not given to a knee",
    ),
}


def first_difference(old: str, new: str) -> int:
    """Return the number of the first line in which two texts differ."""
    pairs = zip_longest(old.splitlines(), new.splitlines())
    return next(number for number, (a, b) in enumerate(pairs, start=1) if a != b)


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        Document.parse(text, "trial.yaml").validate(Trial)
    return caught.value.problems


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_one_fault_is_one_message_with_everything(fault: Fault) -> None:
    assert fault.old in EXAMPLE
    text = EXAMPLE.replace(fault.old, fault.new, 1)
    found = problems_of(text)
    assert len(found) == 1, [str(problem) for problem in found]
    problem, message = found[0], str(found[0])
    assert (problem.file, problem.field) == ("trial.yaml", fault.field)
    assert problem.line == (fault.line or first_difference(EXAMPLE, text))
    assert message.startswith(f"trial.yaml, line {problem.line}: {fault.field} ")
    assert fault.what in problem.what
    if fault.value is None:
        assert problem.value is None
    else:
        assert str(problem.value).startswith(str(fault.value))
        assert f"= {fault.value}" in message
    assert (fault.allowed or "") in (problem.allowed or "")
    assert (fault.hint or "") in (problem.hint or "")
    assert fault.allowed is None or "allowed: " in message
    assert "\n" not in message


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    text = EXAMPLE
    for old, new in [
        ("female: 0.55", "female: 55"),
        ("n: 120", "n: 1"),
        ("dose_million: 50", "dose: 50"),
        ("blinding: double", "blinding: triple"),
        ("alpha: 0.05", "alpha: 5"),
    ]:
        text = text.replace(old, new, 1)
    found = problems_of(text)
    assert [problem.field for problem in found] == [
        "population.female",
        "arms.saline.n",
        "arms.cells.treatments[0].cells.dose",
        "blinding",
        "question.alpha",
    ]
    lines = [problem.line or 0 for problem in found]
    assert lines == sorted(lines)


def test_all_contradictions_between_parts_are_reported_together() -> None:
    text = EXAMPLE.replace("[cells, saline]", "[cell, salin]").replace("month: 12}", "month: 10}")
    assert [problem.field for problem in problems_of(text)] == [
        "question.endpoint.month",
        "question.compare[0]",
        "question.compare[1]",
    ]


def test_a_trial_needs_arms_to_compare() -> None:
    start, end = EXAMPLE.index("arms:"), EXAMPLE.index("visits_months:")
    (empty,) = problems_of(EXAMPLE[:start] + "arms: {}\n\n" + EXAMPLE[end:])
    assert (empty.field, empty.what, empty.allowed) == ("arms", "has 0 entries", "2 to 6 entries")
    one = EXAMPLE.index("  cells:\n")
    (single,) = problems_of(EXAMPLE[:one] + EXAMPLE[end:])
    assert (single.field, single.what, single.allowed) == ("arms", "has 1 entry", "2 to 6 entries")


def disc(text: str) -> str:
    """Return the example as a trial of disc degeneration."""
    return text.replace("indication: knee_oa", "indication: disc_degeneration").replace(
        "kl_grade: {2: 0.45, 3: 0.55}", "pfirrmann: {3: 0.45, 5: 0.55}"
    )


@pytest.mark.parametrize("treatment", ["corticosteroid", "hyaluronic_acid"])
def test_treatments_without_an_input_in_the_disc_model_are_refused_with_the_reason(treatment: str) -> None:
    assert Document.parse(disc(EXAMPLE)).validate(Trial).indication == "disc_degeneration"
    (problem,) = problems_of(disc(EXAMPLE).replace("- saline:", f"- {treatment}:"))
    assert problem.field == f"arms.saline.treatments[0].{treatment}"
    assert (
        "cannot be simulated for disc_degeneration: the disc variant of the model has no such input"
        in problem.what
    )


def test_a_short_trial_is_outside_the_class_of_question() -> None:
    text = EXAMPLE.replace("[1, 3, 6, 9, 12]", "[1, 2]").replace("month: 12}", "month: 2}")
    (problem,) = problems_of(text)
    assert (problem.field, problem.value) == ("visits_months[1]", 2)
    assert problem.allowed == "a last visit in month 3 to 24"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_a_trial_or_an_input_error_never_anything_else(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE) - 1))
    length = data.draw(st.integers(0, 40))
    junk = data.draw(st.text(st.sampled_from("abn:{}[]-,'\"#&*!|>%@`?~ \t\n01.e+\\é\x00"), max_size=12))
    damaged = EXAMPLE[:start] + junk + EXAMPLE[start + length :]
    try:
        Document.parse(damaged, "trial.yaml").validate(Trial)
    except InputError as error:
        messages = str(error).splitlines()
        stray = [message for message in messages if not message.startswith("trial.yaml")]
        if stray or len(messages) != len(error.problems):
            pytest.fail(f"not one line a problem: {stray}")
