"""What a record, a table or a bundle of a candidate may not be; and that no message names a person."""

import json
from datetime import date

import pytest

from stemtrial.candidate.intake import read_candidates
from stemtrial.errors import InputError
from stemtrial.evidence import load

TODAY = date(2025, 7, 1)
load()


def fault(tmp_path, text, name="candidate.yaml"):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(InputError) as caught:
        read_candidates(path, TODAY)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("age: 60", ["indication is missing"]),
        ("indication: hip", ["indication = hip", "knee_oa, disc_degeneration"]),
        ("indication: knee_oa\nage: 160", ["age = 160 is out of range", "0 to 115"]),
        ("indication: knee_oa\nage: .nan", ["age = nan is not a finite number"]),
        ("indication: knee_oa\nbmi: 280", ["bmi = 280 is not a possible body-mass index"]),
        ("indication: knee_oa\nbmi: 62 in", ["has the unit 'in'"]),
        ("indication: knee_oa\nkl_grade: [2, 3]", ["kl_grade = [2, 3] is a list"]),
        ("indication: knee_oa\nkl_grade: 2\nkl_grade: 3", ["kl_grade is written twice", "line 2 and line 3"]),
        ("indication: knee_oa\nkl_grade: 5", ["kl_grade = 5 is out of range", "0 to 4"]),
        ("indication: knee_oa\nkl_grade: 2.5", ["kl_grade = 2.5"]),
        ("indication: knee_oa\npain: 6", ["pain = 6 does not say its range", "58/100"]),
        ("indication: knee_oa\npain: 12/10", ["pain = 12/10 is above the top"]),
        ("indication: knee_oa\npain: 6/68", ["is not a score with its range"]),
        ("indication: knee_oa\nhba1c: 53", ["hba1c = 53 has no unit", "mmol/mol"]),
        ("indication: knee_oa\nhba1c: 7.0 mmol/mol", ["is not a possible HbA1c", "check the unit"]),
        ("indication: knee_oa\nhba1c: 53 %", ["is not a possible HbA1c"]),
        ("indication: knee_oa\ncreatinine: 90 mg/dL", ["is not a possible creatinine"]),
        ("indication: knee_oa\nalt: 30 g/L", ["has the unit 'g/L'", "U/L"]),
        ("indication: knee_oa\nalt: about 30 U/L", ["is not a number with a unit"]),
        ("indication: knee_oa\nfunction: WOMAC_function 90/68", ["off the scale", "0 to 68"]),
        ("indication: knee_oa\nfunction: MADEUP 3/10", ["function = MADEUP 3/10"]),
        ("indication: knee_oa\ndate: 2025-06-30", ["reads as a date", "quotes"]),
        ('indication: knee_oa\ndate: "2025-08-01"', ["date lies in the future", "2025-07-01"]),
        ('indication: knee_oa\ndate: "2025-02-30"', ["is not a day of the calendar"]),
        ('indication: knee_oa\ninjections: [{substance: prp, site: index, date: "2026-01-01"}]',
         ["injections[0].date lies in the future"]),
        ('indication: knee_oa\ndate: "2025-01-01"\noperations: [{kind: knee_other, date: "2025-03-01"}]',
         ["operations[0].date lies after the assessment"]),
        ("indication: knee_oa\ninjections: [{substance: prp}]", ["injections[0].site is missing"]),
        ("indication: knee_oa\npresent: [hiv]\nabsent: [hiv]", ["names hiv, which is also in `present`"]),
        ("indication: knee_oa\npresent: [hivv]", ["is not a known finding", "did you mean `hiv`"]),
        ("indication: knee_oa\nsex: male\npresent: [pregnant]", ["contradicts sex: male"]),
        ("indication: knee_oa\nvarus_deg: 3\nvalgus_deg: 4", ["contradicts varus_deg"]),
        ("indication: knee_oa\nbmi: 22\nheight: 170 cm\nweight: 95 kg", ["contradicts height and weight", "32.9"]),
        ("indication: knee_oa\npain_months: 4\ndaily_pain_months: 9", ["is longer than pain_months"]),
        ("indication: knee_oa\nage: 20\npain_months: 400", ["longer than the person has lived"]),
        ("indication: knee_oa\nkl_grades: 3", ["is not a known field", "did you mean `kl_grade`"]),
        ("indication: !!python/object/apply:os.system [true]", ["tag"]),
        ("indication: knee_oa\nvisits: [{month: 1, pain: 6/10}]", ["are given without `treated`"]),
        ("indication: knee_oa\ntreated: saline\nvisits: [{month: 3}]", ["visits[0]", "has no reading"]),
        ("indication: knee_oa\ntreated: prp\nvisits: [{month: 3, pain: 6/10}, {month: 2, pain: 6/10}]",
         ["visits[1].month = 2 is not after the visit before"]),
        ('indication: knee_oa\ndate: "2025-06-01"\ntreated: saline\nvisits: [{month: 3, pain: 6/10}]',
         ["visits[0].month lies in the future"]),
        ("- 1\n- 2", ["a list where a mapping"]),
    ],
)  # fmt: skip
def test_records(tmp_path, text, parts):
    message = fault(tmp_path, text)
    assert all(part in message for part in parts), message


def test_all_faults_are_told_at_once_with_their_lines(tmp_path):
    message = fault(tmp_path, "indication: knee_oa\nage: 200\nhba1c: 7\npain: 4\n")
    assert [part.split(":")[0] for part in message.splitlines()] == [
        f"{tmp_path}/candidate.yaml, line {n}" for n in (2, 3, 4)
    ]


def test_what_identifies_a_person_is_ignored_and_never_shown(tmp_path):
    secret = "name: Jane Roe\npatient_id: 12345\n"
    path = tmp_path / "c.yaml"
    path.write_text(secret + "indication: knee_oa\nage: 60\n")
    (intake,) = read_candidates(path, TODAY)
    assert intake.ignored == 2
    assert "Roe" not in repr(intake)
    message = fault(tmp_path, secret + "indication: knee_oa\nage: 400\nnickname: Janie Roe\n")
    assert "nickname is not a known field" in message
    assert "Roe" not in message


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ("indication,age\nknee_oa,60\nknee_oa,600\n", ["row 2", "age = 600 is out of range"]),
        ("indication,age,age\nknee_oa,60,61\n", ["column age", "written twice"]),
        ("indication,agee\nknee_oa,60\n", ["column agee", "not a known field"]),
        ("indication,age\nknee_oa\n", ["row 1", "1 cells"]),
        ("indication,age\n", ["holds 0 candidates"]),
        ("", ["holds 0 candidates"]),
        ("indication,injections\nknee_oa,prp\n", ["row 1", "is not an event"]),
        ("indication,injections\nknee_oa,prp index 2026-02-01\n", ["row 1", "lies in the future"]),
        ('indication,age\n"knee_oa,60\n', ["not readable as CSV"]),
        ("indication,hba1c\nknee_oa,53\n", ["row 1", "has no unit"]),
    ],
)
def test_tables(tmp_path, rows, parts):
    message = fault(tmp_path, rows, "many.csv")
    assert all(part in message for part in parts), message


def test_a_table_reads_as_documents_do(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text(
        "name,indication,age,pain,present,absent,injections,hba1c\n"
        "Roe,knee_oa,60,58/100,nsaid,hiv; malignancy,corticosteroid index 2025-01-02; prp other_side,7.0 %\n"
        ",disc_degeneration,,,,,none,\n"
    )
    first, second = read_candidates(path, TODAY)
    assert (first.row, first.ignored, first.record.age, first.record.pain) == (1, 1, 60, 58)
    assert first.record.absent == ("hiv", "malignancy")
    assert [(i.substance, i.date) for i in first.record.injections] == [
        ("corticosteroid", "2025-01-02"),
        ("prp", None),
    ]
    assert (second.record.age, second.record.injections) == (None, ())


ME = {"reference": "Patient/p1"}
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1962-08-15", "name": [{"family": "Roe"}]}
KNEE = {
    "resourceType": "Condition", "subject": ME,
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "239873007"}]},
    "clinicalStatus": {"coding": [{"code": "active"}]},
}  # fmt: skip


def grade(value, subject=ME, **more):
    return {
        "resourceType": "Observation", "status": "final", "subject": subject, "valueInteger": value,
        "code": {"coding": [{"system": "urn:stemtrial:record", "code": "kl_grade"}]},
    } | more  # fmt: skip


def bundle(*resources):
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources]}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (bundle(PATIENT, PATIENT | {"id": "p2"}, KNEE), ["holds 2 patients", "exactly one Patient"]),
        (bundle(KNEE), ["holds no Patient"]),
        (
            bundle(PATIENT, KNEE, grade(3, {"reference": "Patient/p2"})),
            ["entry[2].resource.subject is about another person"],
        ),
        (bundle(PATIENT, KNEE, grade(3, {"reference": "Patient/xp1"})), ["another person"]),
        (
            bundle(PATIENT, KNEE, grade(3), grade(2)),
            ["kl_grade has values that contradict", "entry[2]", "entry[3]"],
        ),
        (bundle(PATIENT, KNEE, grade(3, effectiveDateTime="2025-01-01"), grade(2)), ["contradict"]),
        (
            bundle(PATIENT, KNEE, grade(3, effectiveDateTime="2025-08-01")),
            ["entry[2].resource.effective lies in the future"],
        ),
        (bundle(PATIENT | {"birthDate": "2031-01-01"}, KNEE), ["birthDate lies in the future"]),
        (bundle(PATIENT | {"deceasedBoolean": True}, KNEE), ["has died"]),
        (bundle(PATIENT), ["names no indication", "--indication"]),
        (bundle(PATIENT, KNEE, grade(7)), ["kl_grade = 7 is out of range"]),
        ({"resourceType": "Patient", "id": "p1"}, ["not a Bundle"]),
        ('{"resourceType": "Bundle", "entry": [], "entry": []}', ["entry twice"]),
        ('{"resourceType": "Bundle", "total": NaN}', ["NaN"]),
    ],
)
def test_bundles(tmp_path, content, parts):
    message = fault(tmp_path, content, "bundle.json")
    assert all(part in message for part in parts), message
    assert "Roe" not in message
    assert "1962" not in message


def test_an_indication_must_not_contradict_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("indication: knee_oa\n")
    with pytest.raises(InputError, match="--indication = disc_degeneration contradicts the file"):
        read_candidates(path, TODAY, "disc_degeneration")
