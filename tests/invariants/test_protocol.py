"""A protocol survives being written and read, and its hash is that of its contents."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from stemtrial.documents import Document
from stemtrial.mechanism.treatments import SOURCES_OF_PRODUCT, TREATMENTS, Course, Injection
from stemtrial.population.spec import SD_MARGIN, largest_sd
from stemtrial.trial.protocol import Trial

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("knee_oa_*.yaml"))


def number(low: float, high: float, **options: Any) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False, **options)


@st.composite
def covariates(draw: st.DrawFn, lowest: float, highest: float, closed: bool = False) -> dict[str, Any]:
    """Draw a covariate on the scale ``lowest`` to ``highest``, to which its support is held if ``closed``."""
    low, mean, high = sorted(draw(st.lists(number(lowest, highest), min_size=3, max_size=3, unique=True)))
    low, high = draw(st.sampled_from([(low, high), (None, high), (low, None), (None, None)]))
    ends = (lowest, highest) if closed else (float("-inf"), float("inf"))
    support = (ends[0] if low is None else low, ends[1] if high is None else high)
    bound = min(SD_MARGIN * largest_sd(mean, *support), 50)
    return {"mean": mean, "sd": bound * draw(number(0.05, 0.99)), "min": low, "max": high}


@st.composite
def grades(draw: st.DrawFn, highest: int) -> dict[int, float]:
    weights = draw(st.dictionaries(st.integers(1, highest), number(0.1, 1), min_size=1))
    return {grade: weight / sum(weights.values()) for grade, weight in weights.items()}


def months(end: float, low: float = 0) -> st.SearchStrategy[list[float]]:
    return st.lists(number(low, end, exclude_max=True), min_size=1, max_size=4, unique=True).map(sorted)


@st.composite
def treatments(draw: st.DrawFn, end: float, names: list[str]) -> dict[str, Any]:
    name = draw(st.sampled_from(names))
    kind = TREATMENTS[name]
    fields: dict[str, Any] = {}
    if issubclass(kind, Injection):
        fields["at_months"] = draw(months(end))
    if issubclass(kind, Course):
        start = draw(number(0, end / 2))
        fields |= {"from_month": start, "to_month": draw(st.none() | number(start, end, exclude_min=True))}
    if name == "cells":
        product = draw(st.sampled_from(["culture_expanded", "bmac", "svf", "mfat", "chondrocyte", "hsc"]))
        fields |= {
            "product": product,
            "source": SOURCES_OF_PRODUCT.get(product, ("bone_marrow",))[0],
            "origin": draw(st.sampled_from(["autologous", "allogeneic"])),
            "dose_million": draw(number(0, 2000, exclude_min=True)),
        }
    return {name: fields}


@st.composite
def trials(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the plain data of a valid trial."""
    knee = draw(st.booleans())
    visits = [*draw(months(3, 0.1)), draw(number(3, 24))]
    names = draw(
        st.lists(
            st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,12}", fullmatch=True), min_size=2, max_size=6, unique=True
        )
    )
    given_to = [name for name, kind in TREATMENTS.items() if knee or not kind.not_for]
    arm = st.fixed_dictionaries(
        {
            "n": st.integers(2, 100_000),
            "treatments": st.lists(
                treatments(visits[-1], given_to),
                min_size=1,
                max_size=4,
                unique_by=lambda entry: next(iter(entry)),
            ),
        }
    )
    rescue = {
        "pain_above": draw(number(0, 100)),
        "drug": draw(st.sampled_from(["nsaid", "paracetamol", "opioid"])),
    }
    grading = {"kl_grade": draw(grades(4))} if knee else {"pfirrmann": draw(grades(5))}
    return {
        "title": draw(
            st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=60)
        ),
        "indication": "knee_oa" if knee else "disc_degeneration",
        "population": {
            "age": draw(covariates(18, 100)),
            "bmi": draw(covariates(12, 70)),
            "female": draw(number(0, 1)),
            "baseline_pain": draw(covariates(0, 100, closed=True)),
        }
        | grading,
        "arms": {name: draw(arm) for name in names},
        "visits_months": visits,
        "blinding": draw(st.sampled_from(["double", "single", "open"])),
        "conduct": {
            "dropout_by_month_12": draw(number(0, 1, exclude_max=True)),
            "rescue_analgesia": draw(st.sampled_from([None, rescue])),
        },
        "question": {
            "endpoint": {
                "instrument": draw(st.sampled_from(["VAS", "NRS", "WOMAC_pain"] if knee else ["VAS", "ODI"])),
                "month": draw(st.sampled_from(visits)),
            },
            "compare": list(draw(st.permutations(names)))[:2],
            "estimand": draw(st.sampled_from(["treatment_policy", "hypothetical", "composite"])),
            "analysis": draw(st.sampled_from(["ancova", "mmrm", "bayesian"])),
            "alpha": draw(number(0, 0.5, exclude_min=True, exclude_max=True)),
            "sides": draw(st.sampled_from([1, 2])),
        },
    }


@settings(max_examples=60, deadline=None)
@given(data=trials(), suffix=st.sampled_from([".json", ".yaml"]))
def test_a_valid_trial_is_the_same_after_writing_and_reading(data: dict[str, Any], suffix: str) -> None:
    trial = Trial.model_validate(data)
    text = json.dumps(trial.model_dump(mode="json"), ensure_ascii=False, indent=1)
    again = Document.parse(text, f"trial{suffix}").validate(Trial)
    assert again == trial
    assert (again.hash, list(again.arms), hash(again)) == (trial.hash, list(trial.arms), hash(trial))
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert trial.ordered_arms[:2] == (trial.comparator, trial.experimental)
    assert sorted(trial.ordered_arms) == sorted(trial.arms)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_shipped_examples_are_valid_and_hash_alike_in_any_layout(path: Path, tmp_path: Path) -> None:
    trial = Trial.read(path)
    copy = tmp_path / "copy.yaml"
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False  # sorted names, one field a line: nothing of the author's layout
    yaml.dump(Document.read(path).data, copy)
    assert copy.read_text() != path.read_text()
    assert Trial.read(copy) == trial
    assert Trial.read(copy).hash == trial.hash


def test_the_hash_does_not_depend_on_the_process() -> None:
    code = f"from stemtrial.trial.protocol import Trial; print(Trial.read({str(EXAMPLES[0])!r}).hash)"
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.strip() == Trial.read(EXAMPLES[0]).hash


def test_every_choice_moves_the_hash() -> None:
    document = Document.read(next(path for path in EXAMPLES if path.stem == "knee_oa_cells_vs_saline"))
    edits: dict[tuple[str | int, ...], object] = {
        ("title",): "Another",
        ("population", "age", "sd"): 8,
        ("population", "kl_grade", 2): 0.4500004,
        ("arms", "cells", "n"): 121,
        ("arms", "cells", "treatments", 0, "cells", "dose_million"): 51,
        ("visits_months",): [1, 3, 6, 12],
        ("blinding",): "open",
        ("conduct", "rescue_analgesia"): None,
        ("question", "compare"): ["saline", "cells"],
        ("question", "sides"): 1,
    }
    hashes = {document.replaced({path: value}).validate(Trial).hash for path, value in edits.items()}
    assert len(hashes | {document.validate(Trial).hash}) == len(edits) + 1


def test_a_trial_cannot_be_changed() -> None:
    trial = Trial.read(EXAMPLES[0])
    name = trial.comparator
    with pytest.raises(ValidationError, match="frozen"):
        trial.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):
        trial.arms[name] = trial.arms[name]  # type: ignore[index]
    with pytest.raises(TypeError, match="frozen"):
        trial.population.severity[2] = 1.0  # type: ignore[index]
