"""``stemtrial claims`` as a user runs it."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from command import apart, here
from stemtrial.claims.claim import shipped
from stemtrial.evidence import load

OWN = Path(__file__).parents[2] / "examples" / "claims" / "donor_cells_six_months.yaml"
RECORD = Path(__file__).parents[2] / "examples" / "made_registry_record.json"


def run(*arguments, of=here):
    return of(*arguments, env={"COLUMNS": "150"})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims") / "pages"
    done = run("claims", "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pages: " in done.stdout
    return folder


def test_ten_promises_on_the_terminal():
    done = run("claims")
    assert (done.returncode, done.stderr) == (0, "")
    for name in shipped():
        assert sum(line.startswith(name) for line in done.stdout.splitlines()) == 1
    assert load().hash[:12] in done.stdout
    assert "Supported needs P >= 0.95" in done.stdout


def test_one_promise_in_full():
    text = " ".join(run("claims", "complements").stdout.split())
    for words in (
        "Complements rather than replaces: uncertain",
        "neither supports nor contradicts",
        "Freitag 2019",
        "The verdict with narrower sets of studies",
        "without open-label trials",
        "Rival structures: not compared",
        "Would be supported by a trial of",
        "Would be contradicted by no single trial",
        "seed: none used",
    ):
        assert words in text


def test_json_holds_every_verdict():
    done = run("claims", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert [claim["claim"] for claim in document["claims"]] == list(shipped())
    assert document["evidence_hash"] == load().hash
    for claim in document["claims"]:
        assert claim["verdict"] in ("supported", "contradicted", "uncertain")
        assert 0 <= claim["p"][0] <= claim["p"][1] <= 1
        assert len(claim["rule_hash"]) == 64


def test_own_claim_file():
    done = run("claims", OWN, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (claim,) = json.loads(done.stdout)["claims"]
    assert claim["claim"] == OWN.stem
    (part,) = claim["parts"]
    tables = load()
    for study in part["studies"]:
        arms = [arm for arm in tables.arms_of(study["trial_id"]) if arm.intervention == "cell_therapy"]
        assert any(arm.origin == "allogeneic" for arm in arms)


def test_rows_of_the_user_are_marked(tmp_path):
    assert run("evidence", "import", RECORD, "--out", tmp_path / "own").returncode == 0
    done = run("claims", "long_lasting", "--also", tmp_path / "own", "--out", tmp_path / "pages")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nct99999998 (yours)" in " ".join(done.stdout.split())
    page = (tmp_path / "pages" / "long_lasting.html").read_text(encoding="utf-8")
    assert "Nct99999998 (yours)" in page
    assert "Rows of yours stand beside the shipped ones" in page
    data = json.loads((tmp_path / "pages" / "claims.json").read_text(encoding="utf-8"))
    marks = {s["trial_id"]: s["provenance"] for part in data["claims"][0]["parts"] for s in part["studies"]}
    assert {name for name, mark in marks.items() if mark == "user"} == {"nct99999998"}


def test_folder_is_whole_and_the_manifest_true(pages):
    manifest = json.loads((pages / "manifest.json").read_text(encoding="utf-8"))
    names = {path.name for path in pages.iterdir()}
    assert names == {*manifest["files"], "manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((pages / name).read_bytes()).hexdigest() == digest
    assert {f"{name}.html" for name in shipped()} | {
        "index.html",
        "claims.json",
        "probabilities.svg",
    } <= names
    assert manifest["evidence_hash"] == load().hash
    assert manifest["claims"].keys() == shipped().keys()


def test_every_page_is_reached_and_leads_back(pages):
    overview = (pages / "index.html").read_text(encoding="utf-8")
    for name in shipped():
        assert f'href="{name}.html"' in overview
        assert 'href="index.html"' in (pages / f"{name}.html").read_text(encoding="utf-8")


def test_sources_of_every_study_are_linked(pages):
    data = json.loads((pages / "claims.json").read_text(encoding="utf-8"))
    tables = load()
    for claim in data["claims"]:
        html = (pages / f"{claim['claim']}.html").read_text(encoding="utf-8")
        linked = set(re.findall(r'<a href="(https://[^"]*)"', html))
        for part in claim["parts"]:
            for study in part["studies"]:
                found = tables.reference(tables.trial(study["trial_id"]).reference_id)
                wanted = f"https://doi.org/{found.doi}" if found.doi else found.url
                assert wanted in linked or (found.pmcid and any(found.pmcid in link for link in linked)), (
                    wanted
                )


def test_pages_fetch_nothing_and_keep_to_the_words(pages):
    promises = {claim.promise for claim in shipped().values()} | {claim.title for claim in shipped().values()}
    for path in pages.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r'<(script|link rel="stylesheet"|img|iframe)', html)
        text = html
        for promise in promises:
            text = text.replace(promise, "")
        text = re.sub(r'<section id="sources".*?</section>', "", text, flags=re.S)
        for word in ("regenerates", "cure", "proven", "success rate", "breakthrough"):
            assert not re.search(rf"\b{word}\b", text, re.I), (path.name, word)


def test_the_same_command_gives_the_same_bytes(pages, tmp_path):
    """In another process, which orders sets another way."""
    again = tmp_path / "again"
    assert run("claims", "--out", again, of=apart).returncode == 0
    for path in pages.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_text_of_a_claim_is_escaped(tmp_path):
    own = tmp_path / "mine.yaml"
    text = OWN.read_text(encoding="utf-8")
    own.write_text(text.replace("for half a year.", '<script>alert("x")</script>'), encoding="utf-8")
    assert run("claims", own, "--out", tmp_path / "pages").returncode == 0
    for name in ("index.html", "mine.html"):
        html = (tmp_path / "pages" / name).read_text(encoding="utf-8")
        assert "<script" not in html
        assert "&lt;script" in html


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    done = run("claims", "generally_safe", "--out", taken)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [taken]
