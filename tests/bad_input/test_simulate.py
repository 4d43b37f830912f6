"""What `simulate` refuses: one message, exit code 2, nothing written."""

import pytest

from command import here


def refused(tmp_path, text, *words, out="run"):
    file = tmp_path / "trial.yaml"
    file.write_text(text, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    found = here("simulate", file, "--replicates", 4, "--seed", 1, "--out", tmp_path / out)
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    assert not found.stdout
    for word in words:
        assert word in found.stderr, found.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("analysis: ancova", "analysis: bayesian", ["question.analysis", "bayesian", "ancova, mmrm"]),
        (
            "- saline: {at_months: [0]}",
            "- prp: {at_months: [0]}",
            ["arms.saline.treatments.0.prp", "no input"],
        ),
        ("n: 120", "n: 0", ["n = 0", "line"]),
        ("dose_million: 50", "dose_million: -1", ["dose_million", "-1", "line"]),
    ],
)
def test_a_trial_that_cannot_be_run(tmp_path, example, old, new, words):
    text = example.read_text(encoding="utf-8")
    assert old in text
    refused(tmp_path, text.replace(old, new), *words)


def test_a_folder_that_is_not_a_run_folder_is_left_alone(tmp_path, example):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused(tmp_path, example.read_text(encoding="utf-8"), "not a run folder", "mine", out="mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_place_of_the_folder_is_left_alone(tmp_path, example):
    (tmp_path / "taken").write_text("a file")
    refused(tmp_path, example.read_text(encoding="utf-8"), "not a run folder", out="taken")


def test_disc_is_refused_until_a_fit_passes(tmp_path, example):
    text = example.read_text(encoding="utf-8").replace("knee_oa", "disc_degeneration")
    refused(tmp_path, text, "disc_degeneration")
