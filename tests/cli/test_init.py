"""Trial files to start from: valid, cited, runnable, never written over anything."""

import json

import pytest

from command import here
from stemtrial.errors import InputError
from stemtrial.evidence import load
from stemtrial.report import write
from stemtrial.trial.capability import unavailable
from stemtrial.trial.protocol import Trial
from stemtrial.trial.run import run
from stemtrial.trial.templates import template, templates

NAMES = [t.name for t in templates()]


def test_the_designs_asked_for_are_there():
    trials = {t.name: Trial.model_validate(_data(t.text)) for t in templates()}
    assert len(trials) >= 8
    control = {
        name: {treatment.name for treatment in t.arms[t.comparator].treatments} for name, t in trials.items()
    }
    assert {"saline", "sham", "corticosteroid", "hyaluronic_acid"} <= set().union(*control.values())
    three = trials["knee_three_products_vs_corticosteroid"]
    assert sorted(arm.n for arm in three.arms.values()) == [40, 40, 40, 120, 120, 120]
    assert three.n == 480
    assert trials["disc_confirmatory_300"].n == 300
    assert len(trials["knee_dose_ranging"].arms) == 5
    factorial = trials["knee_exercise_factorial"].arms
    given = [{"cells", "exercise"} & {t.name for t in arm.treatments} for arm in factorial.values()]
    assert sorted(map(sorted, given)) == [[], ["cells"], ["cells", "exercise"], ["exercise"]]


def _data(text):
    from stemtrial.documents import Document

    return Document.parse(text).data


@pytest.mark.parametrize("name", NAMES)
def test_every_template_cites_references_of_the_evidence(name):
    known = {r.reference_id for r in load().references}
    sources = template(name).sources
    assert sources
    assert set(sources) <= known
    assert "choice" in template(name).text


@pytest.mark.parametrize("name", NAMES)
def test_every_template_runs_or_is_refused_for_its_indication_alone(name, tmp_path):
    path = template(name).write(tmp_path)
    problems = list(unavailable(Trial.read(path)))
    if problems:
        assert [p.field for p in problems] == ["indication"]
        assert name.startswith("disc_")
        with pytest.raises(
            InputError, match="fitted to 17 trials of discs and back pain and failed its checks"
        ):
            run(path, 20, 1, tmp_path / "run", 1, write)
        assert not (tmp_path / "run").exists()
        return
    summary = run(path, 20, 1, tmp_path / "run", 1, write)
    assert summary["replicates"] == 20
    assert summary["not_analysable"] == 0
    assert (tmp_path / "run" / "report.html").is_file()


def test_knee_templates_are_not_refused():
    refused = {t.name for t in templates() if list(unavailable(Trial.model_validate(_data(t.text))))}
    assert refused <= {n for n in NAMES if n.startswith("disc_")}


def test_init_writes_a_file_that_check_accepts_and_refuses_to_write_it_again(tmp_path):
    folder = tmp_path / "a" / "b"
    made = here("init", "knee_vs_hyaluronic_acid", folder)
    assert made.returncode == 0, made.stderr
    path = folder / "knee_vs_hyaluronic_acid.yaml"
    assert path.read_text(encoding="utf-8") == template("knee_vs_hyaluronic_acid").text
    assert here("check", path).returncode == 0
    path.write_text("mine\n")
    again = here("init", "knee_vs_hyaluronic_acid", folder)
    assert again.returncode == 2
    assert "exists and is not overwritten" in again.stderr
    assert path.read_text() == "mine\n"


def test_list_as_json_names_every_template():
    found = json.loads(here("init", "--list", "--json").stdout)["templates"]
    assert [row["name"] for row in found] == NAMES
    assert all(row["summary"] and row["sources"] for row in found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["knee_pilot", "x"], "did you mean knee_academic_pilot?"),
        (["knee_saline_phase4", "x"], "knee_saline_phase2 or knee_saline_phase3"),
        (["quux", "x"], "allowed: disc_confirmatory_300"),
        (["knee_dose_ranging"], "DIR is missing"),
        ([], "TEMPLATE is missing"),
    ],
)
def test_bad_input_gets_one_message_and_leaves_nothing(arguments, words, tmp_path):
    done = here("init", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine\n")
    with pytest.raises(InputError, match="is not a folder"):
        templates()[0].write(taken)
    assert taken.read_text() == "mine\n"
