"""The command ``stemtrial check`` on real files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from command import here

EXAMPLES = Path(__file__).parents[2] / "examples"
SALINE = EXAMPLES / "knee_oa_cells_vs_saline.yaml"


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return here("check", *arguments)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("knee_oa_*.yaml")), ids=lambda path: path.stem)
def test_shipped_examples_pass(path: Path) -> None:
    run = check(path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "is a valid trial file" in run.stdout


def test_summary_names_the_comparator_first_and_the_whole_design() -> None:
    text = check(SALINE).stdout
    for part in (
        "2 arms, double-blind, 12 months",
        "240 randomised",
        "months 1, 3, 6, 9, 12",
        "change of VAS",
    ):
        assert part in text
    assert text.index("saline (comparator), n = 120") < text.index("cells (experimental), n = 120")


def test_json_is_one_document() -> None:
    run = check(SALINE, "--json")
    found = json.loads(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert found["valid"] is True
    assert (found["n"], found["ordered_arms"], found["horizon_months"]) == (240, ["saline", "cells"], 12)
    assert found["trial"]["arms"]["cells"]["treatments"][0]["cells"]["dose_million"] == 50


def test_faults_are_listed_on_stderr_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(
        SALINE.read_text().replace("female: 0.55", "female: .nan").replace("sides: 2", "sides: 3")
    )
    run = check(path)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count(str(path)) == 2
    assert "population.female = nan is not a finite number; allowed: 0 to 1" in run.stderr
    assert "Traceback" not in run.stderr
    reported = check(path, "--json")
    found = json.loads(reported.stdout, parse_constant=pytest.fail)
    assert (reported.returncode, reported.stderr, found["valid"]) == (2, "", False)
    assert [(p["line"], p["field"], p["value"]) for p in found["problems"]] == [
        (9, "population.female", "nan"),
        (36, "question.sides", 3),
    ]
    assert all(problem["message"] in run.stderr for problem in found["problems"])


@pytest.mark.parametrize(
    "name", ["candidate_trial.yaml", "candidate_hard_stop.yaml", "made_candidate_bundle.json"]
)
def test_candidates_are_told_from_trials(name: str) -> None:
    run = check(EXAMPLES / name)
    assert (run.returncode, run.stderr) == (0, "")
    assert "is a valid candidate" in run.stdout
    assert "knee_oa, assessed" in run.stdout


def test_candidate_as_json_and_table_without_names(tmp_path: Path) -> None:
    table = tmp_path / "many.csv"
    table.write_text(
        "name,indication,age,pain\nJane Roe,knee_oa,60,58/100\nJohn Doe,disc_degeneration,44,7/10\n"
    )
    run = check(table, "--json")
    found = json.loads(run.stdout)
    assert (found["valid"], found["kind"], len(found["candidates"])) == (True, "candidate", 2)
    assert found["candidates"][1]["record"]["pain"] == 70
    assert [person["ignored_fields"] for person in found["candidates"]] == [1, 1]
    printed = check(table).stdout
    assert "a valid table of 2 candidates" in printed
    assert "Roe" not in run.stdout + printed


def test_faults_of_a_candidate_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "person.yaml"
    path.write_text("indication: knee_oa\nage: 400\npain: 6\ntreated: hope\n")
    run = check(path)
    assert (run.returncode, run.stdout) == (2, "")
    assert f"{path}, line 2: age = 400 is out of range" in run.stderr
    assert f"{path}, line 3: pain" in run.stderr
    path.write_text("indication: knee_oa\nage: 60\ntreated: hope\n")
    run = check(path, "--json")
    (problem,) = json.loads(run.stdout)["problems"]
    assert (run.returncode, problem["field"], problem["value"]) == (2, "treated", "hope")


def test_a_missing_file_is_exit_code_2() -> None:
    run = check(EXAMPLES / "knee_oa_cells_vs_salin.yaml")
    assert (run.returncode, run.stdout) == (2, "")
    assert "does not exist; did you mean" in run.stderr


def test_checking_needs_no_heavy_library() -> None:
    code = (
        "import sys; sys.argv = ['stemtrial', 'check', sys.argv[1]]\n"
        "from stemtrial.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'scipy', 'pandas', 'jax', 'numba', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(SALINE)], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_looks_margins_and_further_questions_are_told(tmp_path: Path) -> None:
    text = SALINE.read_text(encoding="utf-8").rstrip().replace("sides: 2", "sides: 1")
    file = tmp_path / "trial.yaml"
    file.write_text(
        f"""{text}
  hypothesis: {{kind: non_inferiority, margin: 5}}
  interim: {{at: [0.3, 0.6], spending: lan_demets_of, futility: {{kind: non_binding, z: [-0.5, 0.0]}}}}
  also_estimands: [composite]
""".replace(
            "conduct:\n",
            "conduct:\n  accrual: {sites: 8, opening_every_months: 1, patients_per_site_month: 2}\n",
        ),
        encoding="utf-8",
    )
    printed = check(file).stdout
    for words in (
        "non-inferiority, margin 5 points",
        "at 30%, 60% and the end, lan_demets_of; non-binding futility",
        "estimands composite",
        "8 sites, 2 patients a month each",
    ):
        assert words in printed
