"""A folder or document that cannot be shown: one clear message, and nothing written."""

import copy
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stemtrial.errors import InputError
from stemtrial.report import render, write

FIXTURE = Path(__file__).parents[1] / "fixtures" / "report"
NAMES = ("report", "summary", "manifest")
DOCUMENTS = {n: json.loads((FIXTURE / f"{n}.json").read_text(encoding="utf-8")) for n in NAMES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        shutil.copy(FIXTURE / f"{name}.json", tmp_path)
    return tmp_path


def broken(name: str, change: Callable[[Any], object]) -> InputError:
    documents = copy.deepcopy(DOCUMENTS)
    change(documents[name])
    with pytest.raises(InputError) as caught:
        render(*documents.values())
    return caught.value


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("report", lambda d: d.pop("arms"), "report.json: arms field required"),
        (
            "report",
            lambda d: d["arms"]["cells"]["course"]["pain"]["mean"].pop(),
            "pain.mean has 15 numbers for 16 months",
        ),
        (
            "report",
            lambda d: d["arms"]["cells"]["course"]["pain"]["mean"].__setitem__(3, 131),
            "pain.mean.3 = 131",
        ),
        (
            "report",
            lambda d: d["contrast_course"][0].update(estimate=math.nan),
            "contrast_course.0.estimate = nan",
        ),
        ("report", lambda d: d.update(comparator="sham"), "comparator 'sham' is not one of the arms"),
        ("report", lambda d: d.update(comparator="cells"), "must differ"),
        ("report", lambda d: d.update(sides=3), "sides = 3"),
        ("report", lambda d: d["estimates"]["null"]["counts"].pop(), "35 counts for 37 edges"),
        ("report", lambda d: d["estimates"]["null"].update(counts=[0] * 36), "counts add up to zero"),
        (
            "report",
            lambda d: d["arms"]["cells"]["change_distribution"]["q025"].pop(),
            "q025 has 70 numbers for 71 points",
        ),
        ("summary", lambda d: d["power"].update(value=1.2), "summary.json: power.value = 1.2"),
        ("summary", lambda d: d["arms"].pop("cells"), "summary.json: arms.cells is missing"),
        ("summary", lambda d: d["arms"]["cells"]["change"].pop("12"), "arms.cells.change.12 lacks the month"),
        ("summary", lambda d: d.update(seed=2), "seed = 2 differs from manifest.json; allowed: 1"),
        (
            "summary",
            lambda d: d.update(calibration="calibrated"),
            "calibration = calibrated differs from report.json",
        ),
        ("manifest", lambda d: d.update(platform=None), "manifest.json: platform"),
    ],
)
def test_message_names_file_field_and_value(name: str, change: Callable[[Any], object], words: str) -> None:
    error = broken(name, change)
    assert words in str(error)
    assert "run the trial again" in str(error)
    assert error.exit_code == 2


def test_every_fault_is_told_at_once() -> None:
    error = broken("summary", lambda d: (d["power"].pop("mc_se"), d["assurance"].pop("mc_se")))
    assert len(error.problems) == 2


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder; name the folder given to"):
        write(tmp_path / "nowhere")


def test_folder_that_is_not_a_run(folder: Path) -> None:
    (folder / "summary.json").unlink()
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"not a run folder: it lacks summary\.json, manifest\.json"):
        write(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1,\n oops}', "line 2: is not JSON"),
        (b"[1, 2]", "does not hold a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_damaged_document(folder: Path, content: bytes, words: str) -> None:
    (folder / "report.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        write(folder)


def test_results_edited_after_the_run_are_refused(folder: Path) -> None:
    edited = DOCUMENTS["summary"] | {"power": {"value": 0.99, "mc_se": 0.001}}
    (folder / "summary.json").write_text(json.dumps(edited), encoding="utf-8")
    with pytest.raises(InputError, match="was changed after the run wrote it"):
        write(folder)


def test_old_page_survives_a_failed_rebuild(folder: Path) -> None:
    before = write(folder).read_bytes()
    (folder / "report.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError):
        write(folder)
    assert (folder / "report.html").read_bytes() == before
    assert sorted(p.suffix for p in folder.iterdir()) == [".html", ".json", ".json", ".json"]


def test_page_that_cannot_be_put_in_place(folder: Path) -> None:
    (folder / "report.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write(folder)
    assert not list(folder.glob(".report-*"))
