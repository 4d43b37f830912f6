"""The pages on candidates list every field, finding, name and code, with what the code says of them."""

from pathlib import Path

from stemtrial.candidate import codes
from stemtrial.candidate.findings import MEANINGS
from stemtrial.candidate.quantities import QUANTITIES
from stemtrial.candidate.record import Candidate
from stemtrial.candidate.units import ANALYTES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "candidate-record.md").read_text(encoding="utf-8")
FIELDS, _, LATER = PAGE.partition("## Findings")
FINDINGS, _, LATER = LATER.partition("## Names in the published rules")
NAMES, _, FHIR = LATER.partition("## FHIR")


def rows(section, start):
    return [line for line in section.splitlines() if line.startswith(start)]


def test_every_field_is_explained_with_its_units():
    for name in Candidate.model_fields:
        (row,) = rows(FIELDS, f"| `{name}` |")
        for unit in ANALYTES[name].units if name in ANALYTES and name != "bmi" else ():
            assert unit in row
    assert len(rows(FIELDS, "| `")) == len(Candidate.model_fields)


def test_findings_and_names_are_those_of_the_code():
    assert rows(FINDINGS, "| `") == [f"| `{name}` | {meaning} |" for name, meaning in MEANINGS.items()]
    assert rows(NAMES, "| `") == [
        f"| `{name}` | {quantity.meaning} | {', '.join(f'`{field}`' for field in quantity.fields)} |"
        for name, quantity in QUANTITIES.items()
    ]


def test_codes_are_those_of_the_code():
    listed = {
        tuple(cell.strip(" `…") for cell in line.split("|")[3:5]) for line in rows(FHIR, "| ") if "`" in line
    }
    mapped = {
        *codes.CONDITIONS.items(), *codes.CONDITION_STEMS, *codes.QUANTITIES.items(), *codes.SEROLOGY.items(),
        *codes.MEDICINE_STEMS, *codes.MEDICINES.items(), *codes.PROCEDURES.items(), (codes.PAIN_0_10, "pain"),
        (codes.PREGNANCY, "pregnant"), (codes.SMOKING, "smoking"),
    }  # fmt: skip
    assert listed == mapped
    assert codes.LOCAL in FHIR
