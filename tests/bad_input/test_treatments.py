"""Cells that cannot exist are refused with the reason; those of the published trials are not."""

import csv
from importlib import resources

import pytest

from stemtrial.documents import Record, validate
from stemtrial.errors import InputError
from stemtrial.mechanism.treatments import TREATMENTS, AnyTreatment, Cells


class Given(Record):
    treatment: AnyTreatment


def cells(source: str, origin: str, product: str) -> dict[str, object]:
    return {"source": source, "origin": origin, "product": product, "dose_million": 50, "at_months": [0]}


@pytest.mark.parametrize(
    ("source", "origin", "product", "field", "reason", "allowed"),
    [
        (
            "umbilical_cord",
            "autologous",
            "culture_expanded",
            "origin",
            "no umbilical cord of their own",
            "allogeneic",
        ),
        ("placenta", "autologous", "culture_expanded", "origin", "no placenta of their own", "allogeneic"),
        ("disc", "autologous", "tissue_allograft", "origin", "an allograft comes from a donor", "allogeneic"),
        ("adipose", "autologous", "bmac", "source", "bmac is not made from adipose", "bone_marrow"),
        ("bone_marrow", "autologous", "svf", "source", "svf is not made from bone marrow", "adipose"),
        (
            "bone_marrow",
            "autologous",
            "disc_cell",
            "source",
            "disc_cell is not made from bone marrow",
            "disc",
        ),
    ],
)
def test_impossible_cells(
    source: str, origin: str, product: str, field: str, reason: str, allowed: str
) -> None:
    with pytest.raises(InputError) as caught:
        validate(Given, {"treatment": {"cells": cells(source, origin, product)}})
    (problem,) = caught.value.problems
    assert problem.field == f"treatment.cells.{field}"
    assert reason in problem.what
    assert problem.allowed == allowed


def test_every_fault_of_one_product_is_reported() -> None:
    with pytest.raises(InputError) as caught:
        validate(Given, {"treatment": {"cells": cells("placenta", "autologous", "bmac")}})
    assert [problem.field for problem in caught.value.problems] == [
        "treatment.cells.origin",
        "treatment.cells.source",
    ]


def test_cells_of_the_published_arms_can_be_declared() -> None:
    with (resources.files("stemtrial.evidence") / "data" / "arms.csv").open(encoding="utf-8") as table:
        published = {
            (row["cell_source"], row["origin"], row["product"], float(row["dose_million_cells"] or 50))
            for row in csv.DictReader(table)
            if row["cell_source"] and row["origin"] and row["product"]
        }
    assert len(published) > 20
    for source, origin, product, dose in published:
        assert Cells.model_validate(cells(source, origin, product) | {"dose_million": dose}).origin == origin


@pytest.mark.parametrize("name", sorted(set(TREATMENTS) - {"usual_care"}))
def test_a_treatment_without_its_fields_says_which(name: str) -> None:
    for entry in ({name: None}, {name: {}}):
        with pytest.raises(InputError) as caught:
            validate(Given, {"treatment": entry})
        required = [field for field, info in TREATMENTS[name].model_fields.items() if info.is_required()]
        message = str(caught.value)
        assert all(field in message for field in required)


@pytest.mark.parametrize("entry", [{"usual_care": {}}, {"usual_care": None}])
def test_usual_care_has_no_fields(entry: dict[str, object]) -> None:
    assert validate(Given, {"treatment": entry}).model_dump(mode="json") == {"treatment": {"usual_care": {}}}


def test_treatments_read_as_sentences() -> None:
    entries = {
        "autologous culture-expanded bone marrow cells, 50 million cells in month 0": {
            "cells": cells("bone_marrow", "autologous", "culture_expanded")
        },
        "hyaluronic acid in months 0, 6": {"hyaluronic_acid": {"at_months": [0, 6]}},
        "nsaid from month 1.5 to month 3": {"nsaid": {"from_month": 1.5, "to_month": 3}},
        "exercise from month 0 to the end of follow-up": {"exercise": {"from_month": 0}},
        "usual care": {"usual_care": {}},
    }
    assert {
        str(validate(Given, {"treatment": entry}).treatment): entry for entry in entries.values()
    } == entries
