"""The command ``stemtrial evaluate`` on real files."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from command import here

EXAMPLES = Path(__file__).parents[2] / "examples"
STOP = EXAMPLES / "candidate_hard_stop.yaml"


def evaluate(*arguments: str | Path, folder: Path | None = None) -> CompletedProcess[str]:
    return here("evaluate", *arguments, cwd=folder)


def test_summary_has_hard_stops_before_rules_and_rules_before_numbers() -> None:
    run = evaluate(STOP, "--draws", "100")
    assert (run.returncode, run.stderr) == (0, "")
    text = run.stdout
    places = [
        text.index(part)
        for part in ("malignancy: STOP", "meets the rules of", "Outlook for persons", "Seed 1")
    ]
    assert places == sorted(places)
    assert text.index("education and exercise") < text.index("No numbers for own cells")
    assert "never advice, never a verdict" in " ".join(text.split())


def test_json_is_one_document_and_the_folder_holds_the_same(tmp_path: Path) -> None:
    run = evaluate(STOP, "--draws", "100", "--seed", "7", "--json", "--out", tmp_path / "out")
    document = json.loads(run.stdout, parse_constant=pytest.fail)
    assert (run.returncode, run.stderr) == (0, "")
    assert (document["outlook"]["seed"], document["outlook"]["draws"]) == (7, 100)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["candidate.html", "candidate.json"]
    assert json.loads((tmp_path / "out" / "candidate.json").read_text()) == document


def test_nothing_is_written_unless_asked(tmp_path: Path) -> None:
    assert evaluate(STOP, "--draws", "100", folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_explain_names_rows_and_belief() -> None:
    rules = evaluate(STOP, "--draws", "100", "--explain", "suitability.failing[0].limits")
    assert "criteria.csv row 28: exclude_if bmi > 30.5: not met [alnajar_2017]" in rules.stdout
    number = evaluate(
        STOP, "--draws", "100", "--explain", "outlook.options.saline.course.6.pain.mean", "--json"
    )
    origin = json.loads(number.stdout)
    assert len(origin["fingerprint"]) == 64
    assert origin["seed"] == 1
    wrong = evaluate(STOP, "--draws", "100", "--explain", "outlook.option")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean `options`" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_a_table_of_candidates_without_their_names(tmp_path: Path) -> None:
    table = tmp_path / "many.csv"
    table.write_text(
        "name,indication,age,pain\nJane Roe,knee_oa,60,58/100\nJohn Doe,disc_degeneration,44,7/10\n"
    )
    run = evaluate(table, "--draws", "100", "--out", tmp_path / "out")
    assert run.returncode == 0
    assert "row 1" in run.stdout
    assert "row 2" in run.stdout
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(written) == {f"candidate_{row}.{kind}" for row in (1, 2) for kind in ("html", "json")}
    for text in (run.stdout, run.stderr, *written.values()):
        assert "Roe" not in text
        assert "Doe" not in text
    assert "fields left out that identify a person: 1" in run.stdout


def test_bad_input_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: Jane Roe\nindication: knee_oa\nage: 400\n")
    run = evaluate(path, "--out", tmp_path / "out")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"error: {path}, line 3: age = 400 is out of range; allowed: 0 to 115\n"
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_posterior_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.posterior"
    path.write_text("constants")
    run = evaluate(STOP, "--posterior", path)
    assert (run.returncode, run.stdout) == (2, "")
    assert str(path) in run.stderr
    assert "is not a posterior" in run.stderr
    assert "Traceback" not in run.stderr


def test_checks_need_no_candidate_and_simulate_nothing() -> None:
    run = evaluate("--checks")
    assert (run.returncode, run.stderr) == (0, "")
    for part in ("each predicted without its own", "predicted of 100", "simulated persons"):
        assert part in run.stdout
