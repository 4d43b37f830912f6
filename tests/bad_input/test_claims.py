"""Claim files that cannot be used: every fault with its line, nothing half written."""

from pathlib import Path

import pytest

from command import here
from stemtrial.claims.assessing import assess
from stemtrial.claims.claim import Claim, find, shipped
from stemtrial.claims.virtual import model_view
from stemtrial.documents import Document
from stemtrial.errors import InputError
from stemtrial.evidence import load

GOOD = """title: Made for a test
promise: Cells help.
parts:
  pain:
    asks: pain is lower
    kind: difference
    population: knee_oa
    cells: {product: [bmac]}
    comparator: [saline]
    outcome: pain
    month: 12
    window: 2
    holds: below
    threshold: -10
    important: 10
"""
EVENTS = GOOD.replace("kind: difference", "kind: events").replace("outcome: pain", "event: serious_any")
EVENTS = "".join(line for line in EVENTS.splitlines(True) if "month" not in line and "window" not in line)


def faults(text):
    with pytest.raises(InputError) as caught:
        Document.parse(text, "mine.yaml").validate(Claim)
    return caught.value.problems


def test_the_good_file_is_good():
    assert Document.parse(GOOD).validate(Claim).parts["pain"].threshold == -10
    assert Document.parse(EVENTS).validate(Claim).parts["pain"].event == "serious_any"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("[bmac]", "[bmak]", 8, "parts.pain.cells.product[0]", "not in the vocabulary"),
        ("knee_oa", "knee", 7, "parts.pain.population", "did you mean `knee_oa`"),
        ("[saline]", "[salin]", 9, "parts.pain.comparator[0]", "did you mean `saline`"),
        ("[saline]", "[cell_therapy]", 9, "parts.pain.comparator", "cells against cells"),
        ("-10", "-120", 14, "parts.pain.threshold", "-100 to 100 points of 0-100"),
        ("-10", ".nan", 14, "parts.pain.threshold", "not a finite number"),
        ("important: 10", "important: 0", 15, "parts.pain.important", "above 0"),
        ("month: 12", "month: 0", 11, "parts.pain.month", "out of range"),
        ("kind: difference", "kind: differences", 6, "parts.pain.kind", "not in the vocabulary"),
        ("holds: below", "holds: beneath", 13, "parts.pain.holds", "below, above"),
        ("outcome: pain", "outcom: pain", 10, "parts.pain.outcom", "did you mean `outcome`"),
        ("outcome: pain", "event: any_ae", 10, "parts.pain.event", "no meaning for the kind difference"),
        ("    window: 2\n", "", 4, "parts.pain.window", "is missing for the kind difference"),
        ("    important: 10\n", "", 4, "parts.pain.important", "is missing"),
        ("title: Made for a test\n", "", None, "title", "is missing"),
    ],
)
def test_fault_is_named_with_its_line(old, new, line, field, words):
    found = [problem for problem in faults(GOOD.replace(old, new)) if problem.field == field]
    assert found, faults(GOOD.replace(old, new))
    assert found[0].line == line
    assert words in str(found[0])


def test_thresholds_are_held_to_the_scale_of_their_kind():
    for kind, value, allowed in (
        ("response_spread", 9, "0.2 to 5 ratio"),
        ("protocol_spread", 120, "0 to 100 per cent"),
    ):
        text = GOOD.replace("kind: difference", f"kind: {kind}").replace(
            "threshold: -10", f"threshold: {value}"
        )
        assert any(allowed in str(problem) for problem in faults(text))
    assert any("-1000 to 1000" in str(p) for p in faults(EVENTS.replace("threshold: -10", "threshold: 2000")))


def test_next_trial_is_checked_too():
    text = GOOD + "    next_trial: {if_true: -200, if_false: 0}\n"
    said = "\n".join(map(str, faults(text)))
    assert "line 16: parts.pain.next_trial.if_true = -200 is off the scale" in said
    assert "parts.pain.next_trial.sd is missing for the kind difference" in said


def test_names_of_parts_lead_nowhere():
    (found,) = faults(GOOD.replace("  pain:", '  "../pain":'))
    assert "is not a name that can be used here" in str(found)
    assert found.line == 4


def test_designs_to_simulate_are_checked():
    said = str(faults(GOOD + "    model: knee_saline_phase4\n")[0])
    assert "line 16: parts.pain.model = knee_saline_phase4 is not a shipped design" in said
    assert "knee_saline_phase3" in said
    assert "no meaning for the kind events" in str(faults(EVENTS + "    model: knee_saline_phase3\n")[0])
    part = Document.parse(GOOD + "    model: knee_saline_phase3\n").validate(Claim).parts["pain"]
    with pytest.raises(InputError, match="month = 12 is no visit of the design; allowed: 3, 6"):
        model_view(part, replicates=2, seed=1)


def test_no_part_is_no_claim():
    assert "parts" in str(faults(GOOD[: GOOD.index("  pain:")].replace("parts:", "parts: {}"))[0])


def test_unknown_event_is_told_from_one_without_rows():
    claim = Document.parse(EVENTS.replace("serious_any", "serius_any"), "mine.yaml").validate(Claim)
    with pytest.raises(InputError, match="neither a category nor an event") as caught:
        assess("mine", claim, load())
    assert caught.value.problems[0].file == "mine"
    rare = Document.parse(EVENTS.replace("serious_any", "neoplasm")).validate(Claim)
    assert assess("mine", rare, load()).parts[0].missing


def test_names_that_are_no_claim(tmp_path):
    with pytest.raises(InputError, match="nearest: generally_safe"):
        find(("generaly_safe",))
    with pytest.raises(InputError, match="asked for twice"):
        find(("complements", "complements"))
    with pytest.raises(InputError, match="does not exist"):
        find((str(tmp_path / "none.yaml"),))
    for name in ("complements.yaml", "index.yaml", "a b.yaml"):
        own = tmp_path / name
        own.write_text(GOOD)
        with pytest.raises(InputError, match="is no name for a claim"):
            find((str(own),))
    assert list(find(())) == list(shipped())


def run(*arguments):
    return here("claims", *arguments, env={"COLUMNS": "150"})


def test_command_says_it_once_and_writes_nothing(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(GOOD.replace("[bmac]", "[bmak]").replace("-10", "-120"))
    done = run(own, "--out", tmp_path / "pages")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert f"{own}, line 8: parts.pain.cells.product[0] = bmak" in done.stderr
    assert not Path(tmp_path / "pages").exists()


def test_empty_selection_is_answered_not_refused(tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(GOOD.replace("[bmac]", "[hsc]"))
    done = run(own)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Made for a test: uncertain" in done.stdout
    assert "product = hsc leaves nothing" in " ".join(done.stdout.split())
