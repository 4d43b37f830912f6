"""The design verb on the shipped example."""

import json
from pathlib import Path

from command import here
from stemtrial.calibration.belief import belief


def test_json_has_curves_answers_and_the_label(example):
    found = here(
        "design", example, "--target", 0.3, "--seed", 1, "--replicates", 100, "--max-n", 400, "--json"
    )
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["calibration"] == belief("knee_oa").label
    assert document["curves"].keys() == {"assurance", "power", "type_one_error"}
    assert document["months"] == [1, 3, 6, 9, 12]
    for curves in document["curves"].values():
        assert len(curves) == 5
        for curve in curves:
            assert all(
                lo <= s <= hi for lo, s, hi in zip(curve["low"], curve["share"], curve["high"], strict=True)
            )
    assert document["answers"]["assurance"]["target"] == 0.3


def test_text_says_when_a_target_is_out_of_reach(example):
    found = here("design", example, "--target", 0.99, "--seed", 1, "--replicates", 60, "--max-n", 100)
    assert found.returncode == 0, found.stderr
    assert "not reached; the largest trial considered has" in found.stdout
    assert "calibrated on" in found.stdout


def test_a_target_off_the_scale_is_refused(example):
    found = here("design", example, "--target", 1.5, "--seed", 1)
    assert found.returncode == 2
    assert "--target" in found.stderr


def test_a_folder_with_the_report_of_a_design(example, tmp_path):
    """A group-sequential trial: document, page, trial file and manifest agree; the page can be replaced, not others."""
    file = tmp_path / "trial.yaml"
    text = example.read_text(encoding="utf-8")
    text = text.replace("alpha: 0.05", "alpha: 0.025").replace("sides: 2", "sides: 1").rstrip()
    futility = "{kind: non_binding, z: [0.0]}"
    file.write_text(f"{text}\n  interim: {{at: [0.5], spending: lan_demets_of, futility: {futility}}}\n")
    options = ("--target", 0.3, "--seed", 1, "--replicates", 60, "--max-n", 240, "--out", tmp_path / "design")
    found = here("design", file, *options, "--json")
    assert found.returncode == 0, found.stderr
    names = {path.name for path in (tmp_path / "design").iterdir()}
    assert names == {"design.json", "report.html", "manifest.json", "trial.yaml"}
    document = json.loads((tmp_path / "design" / "design.json").read_text(encoding="utf-8"))
    assert document == json.loads(found.stdout)
    own = document["declared"]
    assert [look["information"] for look in own["looks"]] == [0.5, 1.0]
    assert sum(look["stopping"]["assurance"]["ends_here"] for look in own["looks"]) == 1
    for shares in document["stopping"].values():
        assert all(abs(sum(row) - 1) < 1e-12 for row in shares)
    page = (tmp_path / "design" / "report.html").read_text(encoding="utf-8")
    for words in (
        "Chance of success",
        "Stopping boundaries",
        "Where trials stop",
        "What drives",
        "calibrated on",
    ):
        assert words in page
    assert "<script" not in page
    again = here("design", file, *options)
    assert again.returncode == 0, again.stderr
    assert "highest assurance" in again.stdout
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused = here("design", file, *options[:-1], tmp_path / "mine")
    assert refused.returncode == 2
    assert "not a run folder" in refused.stderr


def shared_looks(tmp_path):
    """Three comparisons with corticosteroid that share alpha over two looks, and secondary analyses."""
    text = Path("examples/knee_oa_cells_vs_corticosteroid.yaml").read_text(encoding="utf-8")
    text = text.replace("n: 120", "n: 20").rstrip()
    file = tmp_path / "trial.yaml"
    file.write_text(f"""{text}
  also_compare: [[fat_cells, corticosteroid], [marrow_concentrate, corticosteroid]]
  multiplicity: fixed_sequence
  interim: {{at: [0.5], spending: lan_demets_of}}
  stop_when: any_shown
  secondary: {{responders: [mcid], missing: non_responder, time_to_loss: true}}
""")
    return file


def test_every_comparison_has_curves_and_a_row(tmp_path):
    file = shared_looks(tmp_path)
    options = ("--target", 0.3, "--seed", 1, "--replicates", 50, "--max-n", 160, "--out", tmp_path / "design")
    found = here("design", file, *options)
    assert found.returncode == 0, found.stderr
    assert "any comparison" in found.stdout
    assert "size for 30 %" in found.stdout
    document = json.loads((tmp_path / "design" / "design.json").read_text(encoding="utf-8"))
    names = [(one["kind"], one["name"]) for one in document["further"]]
    assert names == [
        ("comparison", "cord_cells minus corticosteroid"),
        ("comparison", "fat_cells minus corticosteroid"),
        ("comparison", "marrow_concentrate minus corticosteroid"),
        ("together", "any comparison"),
        ("together", "all comparisons"),
    ]
    first, *_, together, every = document["further"]
    assert (
        first["curves"]["power"]["share"] == together["curves"]["power"]["share"]
    )  # the first opens the sequence
    assert every["answers"]["power"]["size"] is None or every["answers"]["power"]["target"] == 0.3
    assert len(document["declared"]["comparisons"]) == 3
    page = (tmp_path / "design" / "report.html").read_text(encoding="utf-8")
    assert "Every comparison, factor and dose" in page


def test_a_run_reports_shared_looks_and_secondary_analyses(tmp_path):
    file = shared_looks(tmp_path)
    found = here("simulate", file, "--replicates", 40, "--seed", 1, "--out", tmp_path / "run")
    assert found.returncode == 0, found.stderr
    for words in (
        "All comparisons, sharing alpha",
        "mcid, logistic",
        "Time to loss of response",
        "shown from z",
    ):
        assert words in found.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert [len(one["by_look"]["power"]) for one in summary["comparisons"]] == [2, 2, 2]
    assert summary["looks"][0]["shares"][0]["share"] == 1
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in (
        "Example trials",
        "Responders compared",
        "How long a response lasts",
        "Several comparisons share",
    ):
        assert words in page
    said = here("check", file)
    assert "any shown" in said.stdout
    assert "mcid, time_to_loss" in said.stdout
