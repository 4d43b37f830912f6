"""Made FHIR bundles, R4 and R5, as records."""

import json
from datetime import date
from pathlib import Path

import pytest

from stemtrial.candidate import codes
from stemtrial.candidate.fhir import read_bundle
from stemtrial.candidate.findings import MEANINGS
from stemtrial.candidate.intake import read_candidates
from stemtrial.candidate.record import Candidate

TODAY = date(2025, 7, 1)
ME = {"reference": "Patient/p1"}


def coded(system, code):
    return {"coding": [{"system": system, "code": code}]}


def status(name, code):
    return coded(f"http://terminology.hl7.org/CodeSystem/condition-{name}", code)


def patient(**more):
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1962-08-15"} | more


def condition(system, code, clinical="active", verification="confirmed", **more):
    return {
        "resourceType": "Condition", "subject": ME, "code": coded(system, code),
        "clinicalStatus": status("clinical", clinical), "verificationStatus": status("ver-status", verification),
    } | more  # fmt: skip


def observation(system, code, day="2025-05-02", **value):
    return {
        "resourceType": "Observation", "status": "final", "subject": ME, "code": coded(system, code),
        "effectiveDateTime": f"{day}T08:00:00+02:00",
    } | value  # fmt: skip


def quantity(value, code):
    return {"valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": code}}


def bundle(*resources, timestamp="2025-06-30T10:00:00Z"):
    return {
        "resourceType": "Bundle", "type": "collection", "timestamp": timestamp,
        "entry": [{"fullUrl": f"urn:uuid:{i}", "resource": r} for i, r in enumerate(resources)],
    }  # fmt: skip


KNEE = condition(codes.SNOMED, "239873007", bodySite=[coded(codes.SNOMED, "6757004")])


def read(*resources, **options):
    return read_bundle(bundle(patient(), KNEE, *resources), "bundle.json", TODAY, **options)


def record(*resources):
    return Candidate.model_validate(read(*resources).data)


def test_a_person_with_published_codes():
    found = record(
        observation(codes.LOINC, "39156-5", **quantity(31.4, "kg/m2")),
        observation(codes.LOINC, "4548-4", **quantity(7.4, "%")),
        observation(codes.LOINC, "14682-9", **quantity(97, "umol/L")),
        observation(codes.LOINC, "1742-6", **quantity(41, "U/L")),
        observation(codes.LOINC, "72514-3", valueInteger=6),
        observation(codes.LOINC, "56888-1", valueCodeableConcept=coded(codes.SNOMED, "260385009")),
        observation(codes.LOINC, "72166-2", valueCodeableConcept=coded(codes.SNOMED, "8517006")),
        observation(codes.LOCAL, "kl_grade", valueInteger=3),
        observation(codes.LOCAL, "consent", valueBoolean=True),
        condition(codes.ICD10[1], "M05.79"),
        condition(codes.ICD10[0], "C50.9", clinical="resolved"),
        condition(codes.SNOMED, "203082005", verification="refuted"),
    )
    assert (found.indication, found.date, found.age, found.sex) == ("knee_oa", "2025-06-30", 62, "female")
    assert (found.bmi, found.hba1c, found.alt, found.pain, found.kl_grade) == (31.4, 7.4, 41, 60, 3)
    assert found.creatinine == pytest.approx(1.097, abs=1e-3)
    assert found.smoking == "former"
    assert set(found.present) == {"consent", "rheumatoid_arthritis", "previous_malignancy"}
    assert set(found.absent) == {"hiv", "fibromyalgia"}


@pytest.mark.parametrize(
    ("system", "code", "finding"),
    [
        (codes.ATC, "B01AF02", "anticoagulant"),
        (codes.ATC, "L04AX03", "immunosuppressant"),
        (codes.ATC, "H02AB07", "systemic_corticosteroid"),
        (codes.RXNORM, "11289", "anticoagulant"),
        (codes.RXNORM, "10689", "opioid"),
    ],
)
def test_medicines_taken_now_in_both_releases(system, code, finding):
    old = {"resourceType": "MedicationStatement", "status": "active", "subject": ME}
    new = {"resourceType": "MedicationStatement", "status": "recorded", "subject": ME,
           "adherence": {"code": coded("http://hl7.org/fhir/adherence", "taking")}}  # fmt: skip
    assert record(old | {"medicationCodeableConcept": coded(system, code)}).present == (finding,)
    assert record(new | {"medication": {"concept": coded(system, code)}}).present == (finding,)
    stopped = read(old | {"status": "stopped", "medicationCodeableConcept": coded(system, code)})
    assert "present" not in stopped.data
    assert len(stopped.unmapped) == 1


@pytest.mark.parametrize(
    ("system", "code", "finding"),
    [
        (codes.ATC, "M01AE01", "nsaid"),  # ibuprofen
        (codes.ATC, "M01AX05", None),  # glucosamine stands among the NSAIDs and is none
        (codes.ATC, "B01AX05", "anticoagulant"),  # fondaparinux
        (codes.ATC, "B01AX07", None),  # caplacizumab
        (codes.ATC, "B01AC06", None),  # acetylsalicylic acid against platelets
        (codes.RXNORM, "1037042", "anticoagulant"),  # dabigatran etexilate
    ],
)
def test_neighbours_in_a_classification_are_told_apart(system, code, finding):
    assert codes.medicine(system, code) == finding


def test_first_beginning_of_a_code_that_fits_counts():
    found = {code: codes.condition(codes.ICD10[0], code) for code in ("M06.0", "M06.1", "M06.4", "M46.36")}
    assert found == {
        "M06.0": "rheumatoid_arthritis", "M06.1": "other_inflammatory_arthritis",
        "M06.4": "other_inflammatory_arthritis", "M46.36": "spinal_infection",
    }  # fmt: skip
    assert {codes.SMOKER[code] for code in ("LA18976-3", "LA18977-1", "LA18981-3", "LA18982-1")} == {
        "current"
    }


def test_procedures_carry_their_day_and_their_side():
    def done(system, code, side=None, **when):
        site = {"bodySite": [coded(codes.SNOMED, side)]} if side else {}
        return (
            {"resourceType": "Procedure", "status": "completed", "subject": ME, "code": coded(system, code)}
            | site
            | when
        )

    found = record(
        done(codes.LOCAL, "corticosteroid", "6757004", performedDateTime="2025-04-24"),
        done(codes.LOCAL, "hyaluronic_acid", "7771000", occurrenceDateTime="2024-11-02T10:00:00Z"),
        done(codes.LOCAL, "prp", None, performedPeriod={"start": "2023-01-09", "end": "2023-01-09"}),
        done(codes.SNOMED, "309431009", "24028007", performedDateTime="2022"),
    )
    assert [(i.substance, i.site, i.date) for i in found.injections] == [
        ("corticosteroid", "index", "2025-04-24"),
        ("hyaluronic_acid", "other_side", "2024-11-02"),
        ("prp", "unknown_side", "2023-01-09"),
    ]
    assert [(o.kind, o.site, o.date) for o in found.operations] == [("knee_arthroscopy", "index", None)]
    assert not found.history_complete  # a bundle may leave out what was done elsewhere


def test_the_latest_value_counts_and_units_are_converted():
    found = record(
        observation(codes.LOINC, "4548-4", day="2024-01-01", **quantity(9.0, "%")),
        observation(codes.LOINC, "59261-8", day="2025-06-01", **quantity(53, "mmol/mol")),
        observation(codes.LOINC, "29463-7", **quantity(200, "[lb_av]")),
        observation(codes.LOINC, "8302-2", **quantity(178, "cm")),
    )
    assert found.hba1c == pytest.approx(7.0, abs=0.01)
    assert found.body_mass_index == pytest.approx(28.6, abs=0.05)


def test_what_is_not_mapped_is_listed_and_never_guessed():
    found = read(
        condition(codes.SNOMED, "44054006"),
        condition(codes.SNOMED, "363346000", verification="provisional"),
        condition(codes.SNOMED, "86406008", clinical="resolved"),
        observation(codes.LOINC, "718-7", **quantity(13.1, "g/dL")),
        observation(codes.LOINC, "4548-4", **{"status": "preliminary"}, **quantity(9.0, "%")),
        observation(codes.LOINC, "72514-3", valueString="severe"),
        {"resourceType": "Encounter", "subject": ME},
        {"resourceType": "Condition", "code": coded(codes.SNOMED, "363346000")},
        {"resourceType": "Condition", "subject": ME, "code": {"text": "cancer, says Jane Roe of Elm Street"}},
    )
    assert set(found.data) == {"indication", "date", "history_complete", "sex", "age"}
    assert len(found.unmapped) == 9
    assert "entry[2]" in found.unmapped[0]
    assert not any("Roe" in line for line in found.unmapped)


def test_references_of_every_form_are_the_same_person():
    person = patient(id="p1")
    for reference in (
        "Patient/p1",
        "https://hospital.example/fhir/Patient/p1",
        "Patient/p1/_history/3",
        "urn:uuid:0",
    ):
        one = condition(codes.SNOMED, "64859006", subject={"reference": reference})
        data = read_bundle(bundle(person, KNEE, one), "b.json", TODAY).data
        assert data["present"] == ["osteoporosis"]


def test_age_is_counted_on_the_day_of_the_assessment():
    for stamp, age in (("2025-08-14T00:00:00Z", 62), ("2025-08-15T00:00:00Z", 63)):
        data = read_bundle(bundle(patient(), KNEE, timestamp=stamp), "b.json", date(2025, 12, 1)).data
        assert data["age"] == age
    undated = bundle(patient(birthDate="1962"), KNEE) | {"timestamp": None}
    found = read_bundle(undated, "b.json", TODAY)
    assert "age" not in found.data
    assert found.data["date"] == "2025-07-01"


def test_a_file_is_read_through_the_same_door(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle(patient(name=[{"family": "Roe"}]), KNEE)))
    (intake,) = read_candidates(path, TODAY)
    assert intake.record.indication == "knee_oa"
    assert "Roe" not in repr(intake)
    both = bundle(patient(), KNEE, condition(codes.SNOMED, "26538006"))
    path.write_text(json.dumps(both))
    (intake,) = read_candidates(path, TODAY, "disc_degeneration")
    assert intake.record.indication == "disc_degeneration"


def test_codes_lead_to_findings_and_fields_that_exist():
    findings = {*codes.CONDITIONS.values(), *(f for _, f in codes.CONDITION_STEMS), *codes.MEDICINES.values(),
                *(f for _, f in codes.MEDICINE_STEMS), *codes.SEROLOGY.values(), *codes.EVER.values()}  # fmt: skip
    assert {f for f in findings if not f.startswith("indication ")} <= set(MEANINGS)
    assert set(codes.QUANTITIES.values()) <= set(Candidate.model_fields)


def test_the_shipped_bundle_is_read_and_lists_what_it_leaves():
    (intake,) = read_candidates(Path(__file__).parents[2] / "examples" / "made_candidate_bundle.json", TODAY)
    found = intake.record
    assert (found.age, found.bmi, found.pain, found.kl_grade, found.present) == (59, 29.1, 60, 2, ("nsaid",))
    assert [(i.substance, i.site) for i in found.injections] == [("corticosteroid", "index")]
    assert intake.unmapped == ("entry[8].resource, Observation: 718-7 is not a code that is read",)
