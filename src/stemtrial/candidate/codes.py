"""Published codes and the fields or findings of the record they stand for.

LOINC for observations, SNOMED CT and ICD-10 for conditions, ATC and RxNorm (ingredients) for medicines, SNOMED CT for
procedures. A code that is not listed is not guessed from its text or its neighbours. What no published code says (such
as a Kellgren-Lawrence grade) can be given under :data:`LOCAL`, whose codes are the fields and findings of the record.

Codes were held against public sources that print the meaning beside them; the broad ATC groups and ICD-10 categories
only in part, the rest of those being general knowledge:

- LOINC observations: public value sets, and laboratory catalogues with a LOINC column;
- LOINC answers on smoking and pregnancy: value sets of the International Patient Summary;
- SNOMED CT conditions, results and sides: value sets of HL7 implementation guides (International Patient Summary, US
  Core, vital records), and code lists that print the name;
- SNOMED CT procedures: 609588000, value sets of registers of joint replacement; 309431009, one seed list only;
- ATC groups: the index of the WHO Collaborating Centre for Drug Statistics Methodology;
- RxNorm ingredients: the drug table of CPIC; 5640, 7258, 8638, 8640, 1037042, 1114195 and 1364430 in code lists that
  print the ingredient;
- ICD-10 and ICD-10-CM: titles of the categories in browsers of the classifications.

SNOMED CT itself is licensed and was not at hand: a code that has become inactive since is not noticed.
"""

from collections.abc import Mapping
from typing import Final

LOCAL: Final = "urn:stemtrial:record"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
ATC: Final = "http://www.whocc.no/atc"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10: Final = ("http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm")

QUANTITIES: Final[Mapping[str, str]] = {
    "39156-5": "bmi",
    "8302-2": "height",
    "29463-7": "weight",
    "3141-9": "weight",
    "4548-4": "hba1c",
    "17856-6": "hba1c",
    "59261-8": "hba1c",
    "2160-0": "creatinine",
    "14682-9": "creatinine",
    "1742-6": "alt",
    "1920-8": "ast",
    "10230-1": "ejection_fraction",
}
"""LOINC codes of numbers with a unit: body-mass index, height, weight (any, measured), HbA1c (any method, by HPLC, by
IFCC), creatinine in serum (mass, substance), ALT, AST, left ventricular ejection fraction."""

PAIN_0_10: Final = "72514-3"
"""LOINC: pain severity, 0-10 verbal numeric rating."""
PREGNANCY: Final = "82810-3"
"""LOINC: pregnancy status."""
SMOKING: Final = "72166-2"
"""LOINC: tobacco smoking status."""

SEROLOGY: Final[Mapping[str, str]] = {"5195-3": "hepatitis_b", "16128-1": "hepatitis_c", "56888-1": "hiv"}
"""LOINC codes of tests that are positive or negative: HBsAg, antibodies to hepatitis C, HIV 1 and 2 antibodies with p24
antigen. Antibodies alone do not tell past from present infection."""

POSITIVE: Final = {"10828004": True, "260373001": True, "260385009": False, "260415000": False}
"""SNOMED CT: positive, detected; negative, not detected."""
PREGNANT: Final = {"77386006": True, "60001007": False, "LA15173-0": True, "LA26683-5": False}
"""SNOMED CT and LOINC answers: pregnant, not pregnant."""
SMOKER: Final = {
    "266919005": "never",
    "8517006": "former",
    "77176002": "current",
    "449868002": "current",
    "LA18978-9": "never",
    "LA15920-4": "former",
    "LA18976-3": "current",
    "LA18977-1": "current",
    "LA18981-3": "current",
    "LA18982-1": "current",
}
"""SNOMED CT and LOINC answers."""

CONDITIONS: Final[Mapping[str, str]] = {
    "239873007": "indication knee_oa",
    "26538006": "indication disc_degeneration",
    "69896004": "rheumatoid_arthritis",
    "90560007": "crystal_arthritis",
    "396234004": "septic_arthritis",
    "363346000": "malignancy",
    "203082005": "fibromyalgia",
    "64859006": "osteoporosis",
    "86406008": "hiv",
    "66071002": "hepatitis_b",
    "50711007": "hepatitis_c",
    "77386006": "pregnant",
    "64779008": "coagulopathy",
    "234532001": "immune_deficiency",
    "85828009": "autoimmune_disease",
    "192970008": "cauda_equina",
}
"""SNOMED CT codes of conditions: osteoarthritis of knee, degeneration of lumbar intervertebral disc, rheumatoid
arthritis, gout, infective arthritis, malignant neoplastic disease, fibromyalgia, osteoporosis, HIV infection, viral
hepatitis B and C, pregnancy, blood coagulation disorder, immunodeficiency disorder, autoimmune disease, cauda equina
syndrome. Only the code itself is read: its subtypes are not known here."""

CONDITION_STEMS: Final[tuple[tuple[str, str], ...]] = (
    ("M17", "indication knee_oa"),
    ("M51.36", "indication disc_degeneration"),
    ("M51.37", "indication disc_degeneration"),
    ("M05", "rheumatoid_arthritis"),
    ("M06.1", "other_inflammatory_arthritis"),
    ("M06.4", "other_inflammatory_arthritis"),
    ("M06", "rheumatoid_arthritis"),
    ("M10", "crystal_arthritis"),
    ("M11", "crystal_arthritis"),
    ("M00", "septic_arthritis"),
    ("C", "malignancy"),
    ("Z85", "previous_malignancy"),
    ("B16", "hepatitis_b"),
    ("B18.0", "hepatitis_b"),
    ("B18.1", "hepatitis_b"),
    ("B17.1", "hepatitis_c"),
    ("B18.2", "hepatitis_c"),
    ("B20", "hiv"),
    ("D80", "immune_deficiency"),
    ("D81", "immune_deficiency"),
    ("D82", "immune_deficiency"),
    ("D83", "immune_deficiency"),
    ("D84", "immune_deficiency"),
    ("D66", "coagulopathy"),
    ("D67", "coagulopathy"),
    ("D68", "coagulopathy"),
    ("M80", "osteoporosis"),
    ("M81", "osteoporosis"),
    ("M79.7", "fibromyalgia"),
    ("Z33", "pregnant"),
    ("Z34", "pregnant"),
    ("G83.4", "cauda_equina"),
    ("M46.2", "spinal_infection"),
    ("M46.3", "spinal_infection"),
    ("M46.4", "spinal_infection"),
)
"""Beginnings of ICD-10 codes, the first that fits counts: adult-onset Still disease (M06.1) and inflammatory
polyarthropathy (M06.4) stand among rheumatoid arthritis and are not that."""

EVER: Final = {"malignancy": "previous_malignancy", "septic_arthritis": "septic_arthritis"}
"""What a condition that is over stands for; other conditions that are over say nothing of today."""

MEDICINE_STEMS: Final[tuple[tuple[str, str], ...]] = (
    ("B01AA", "anticoagulant"),
    ("B01AB", "anticoagulant"),
    ("B01AE", "anticoagulant"),
    ("B01AF", "anticoagulant"),
    ("B01AX05", "anticoagulant"),
    ("L04A", "immunosuppressant"),
    ("H02A", "systemic_corticosteroid"),
    ("N02A", "opioid"),
    ("M01AA", "nsaid"),
    ("M01AB", "nsaid"),
    ("M01AC", "nsaid"),
    ("M01AE", "nsaid"),
    ("M01AG", "nsaid"),
    ("M01AH", "nsaid"),
)
"""Beginnings of ATC codes. Inhibitors of platelets (B01AC) are not anticoagulants, and glucosamine, chondroitin and
others of M01AX are no NSAIDs; of B01AX, fondaparinux alone is read."""

MEDICINES: Final[Mapping[str, str]] = {
    "11289": "anticoagulant",
    "1364430": "anticoagulant",
    "1114195": "anticoagulant",
    "1037042": "anticoagulant",
    "6851": "immunosuppressant",
    "1256": "immunosuppressant",
    "8640": "systemic_corticosteroid",
    "8638": "systemic_corticosteroid",
    "7052": "opioid",
    "7804": "opioid",
    "10689": "opioid",
    "5640": "nsaid",
    "7258": "nsaid",
    "140587": "nsaid",
    "3355": "nsaid",
}
"""RxNorm ingredients: warfarin, apixaban, rivaroxaban, dabigatran etexilate; methotrexate, azathioprine; prednisone,
prednisolone; morphine, oxycodone, tramadol; ibuprofen, naproxen, celecoxib, diclofenac."""

PROCEDURES: Final[Mapping[str, str]] = {"609588000": "knee_replacement", "309431009": "knee_arthroscopy"}
"""SNOMED CT codes of operations: total replacement of the knee, arthroscopy of the knee joint."""

SIDES: Final = {
    "7771000": "left",
    "82169009": "left",
    "24028007": "right",
    "6757004": "right",
}
"""SNOMED CT: left, left knee region; right, right knee region."""

UNITS: Final = {"[in_i]": "in", "[lb_av]": "lb", "[IU]/L": "IU/L"}
"""UCUM units under the names that :mod:`stemtrial.candidate.units` reads."""


def condition(system: str | None, code: str) -> str | None:
    """Return the finding of a condition's code, or ``indication NAME``.

    Examples
    --------
    >>> condition(ICD10[0], "C50.9"), condition(SNOMED, "239873007"), condition(SNOMED, "1")
    ('malignancy', 'indication knee_oa', None)
    """
    if system == SNOMED:
        return CONDITIONS.get(code)
    if system in ICD10:
        return _stem(code, CONDITION_STEMS)
    return None


def medicine(system: str | None, code: str) -> str | None:
    """Return the finding of a medicine's code.

    Examples
    --------
    >>> medicine(ATC, "B01AF02"), medicine(ATC, "B01AC06")
    ('anticoagulant', None)
    """
    return _stem(code, MEDICINE_STEMS) if system == ATC else MEDICINES.get(code) if system == RXNORM else None


def _stem(code: str, stems: tuple[tuple[str, str], ...]) -> str | None:
    return next((finding for start, finding in stems if code.upper().startswith(start)), None)
