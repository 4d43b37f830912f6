"""The shipped verdicts change only with the evidence or the rule, whatever else does."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stemtrial.claims import rule
from stemtrial.claims.assessing import assess
from stemtrial.claims.claim import Claim, shipped
from stemtrial.claims.virtual import model_view
from stemtrial.documents import Document
from stemtrial.evidence import load
from stemtrial.evidence.merging import merge

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "regression" / "verdicts.json").read_text(encoding="utf-8"))

specification = importlib.util.spec_from_file_location("verdicts", ROOT / "regression" / "verdicts.py")
verdicts = importlib.util.module_from_spec(specification)
specification.loader.exec_module(verdicts)

RENEW = "if the evidence or the rule was meant to change, run: python regression/verdicts.py"


def flat(value):
    """Yield the leaves of plain data, numbers loosened for other processors."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from flat(item)
    elif isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield pytest.approx(value, abs=1e-6) if isinstance(value, float) else value


def test_every_shipped_claim_has_a_stored_verdict():
    assert list(STORED) == list(shipped()), RENEW


@pytest.mark.parametrize("name", list(STORED))
def test_verdict_stands_still(name):
    found = verdicts.verdict(assess(name, shipped()[name], load()))
    assert found["evidence_hash"] == STORED[name]["evidence_hash"], RENEW
    assert found["rule_hash"] == STORED[name]["rule_hash"], RENEW
    assert list(flat(found)) == list(flat(STORED[name])), "same evidence, same rule, another verdict"


def test_hash_of_the_rule_follows_claim_and_constants(monkeypatch):
    claim = shipped()["generally_safe"]
    before = rule.rule_hash(claim)
    part = claim.parts["serious"]
    moved = claim.model_copy(update={"parts": {"serious": part.model_copy(update={"threshold": 11.0})}})
    assert rule.rule_hash(moved) != before
    monkeypatch.setattr(rule, "SUPPORTED", 0.9)
    assert rule.rule_hash(claim) != before


def test_comments_and_layout_are_no_part_of_the_rule():
    text = (ROOT / "src/stemtrial/claims/data/04_generally_safe.yaml").read_text(encoding="utf-8")
    other = Document.parse(f"# a comment\n{text}\n# another\n").validate(Claim)
    assert rule.rule_hash(other) == rule.rule_hash(shipped()["generally_safe"])


def test_order_of_the_rows_moves_nothing():
    tables = load()
    turned = replace(
        tables,
        trials=tables.trials[::-1],
        arms=tables.arms[::-1],
        outcomes=tables.outcomes[::-1],
        events=tables.events[::-1],
    )
    for name in ("generally_safe", "long_lasting"):
        one, other = (assess(name, shipped()[name], rows) for rows in (tables, turned))
        assert one.evidence_hash == other.evidence_hash
        assert one.judged.p == pytest.approx(other.judged.p, abs=1e-9)
        assert one.verdict == other.verdict


def test_rows_of_the_user_change_a_verdict_only_with_the_hash_and_stay_marked():
    tables = load()
    mine = {"provenance": "user"}
    reference = replace(tables.reference("lee_2019"), reference_id="own_2026", registry_id=None, **mine)
    trial = replace(
        tables.trial("lee_2019"), trial_id="own_2026", reference_id="own_2026", registry_id=None, risk_of_bias="low",
        **mine,
    )  # fmt: skip
    arms = tuple(
        replace(arm, trial_id="own_2026", reference_id="own_2026", **mine)
        for arm in tables.arms_of("lee_2019")
    )
    rows = tuple(
        replace(row, trial_id="own_2026", reference_id="own_2026", **mine)
        for row in tables.outcomes_of("lee_2019")
    )
    empty = {
        name: () for name in ("effects", "harms", "natural_history", "thresholds", "predictors", "criteria")
    }
    own = replace(
        tables, references=(reference,), trials=(trial,), arms=arms, outcomes=rows, events=(), **empty
    )
    claim = shipped()["needs_standard_protocols"]
    before, after = assess("x", claim, tables), assess("x", claim, merge(tables, own))
    assert before.evidence_hash != after.evidence_hash
    assert before.rule_hash == after.rule_hash
    marks = {d.trial_id: d.provenance for d in after.parts[0].body.data}
    assert {name for name, mark in marks.items() if mark == "user"} == {"own_2026"}
    assert assess("x", claim, load()) == before


def test_virtual_trials_stand_beside_a_verdict_and_never_enter_it():
    claim = shipped()["complements"]
    alone, beside = (assess("x", claim, load(), replicates=n, seed=3) for n in (0, 24))
    again = assess("x", claim, load(), replicates=24, seed=3)
    view = beside.parts[0].model
    assert view == again.parts[0].model
    assert view != assess("x", claim, load(), replicates=24, seed=4).parts[0].model
    assert beside.judged == alone.judged
    assert (beside.evidence_hash, beside.rule_hash) == (alone.evidence_hash, alone.rule_hash)
    assert [p.found for p in beside.parts] == [p.found for p in alone.parts]
    assert (alone.seed, beside.seed) == (None, 3)
    assert view.label in beside.model
    assert view.fingerprint[:12] in beside.model
    assert beside.structures.startswith("not compared" if view.structures is None else "weights")
    assert view.interval[0] <= view.value <= view.interval[1]
    assert beside.parts[1].model is None, "no design is named"


def test_share_of_virtual_trials_is_counted_on_the_side_that_the_part_asks_for():
    part = shipped()["long_lasting"].parts["early"]
    below = model_view(part, replicates=40, seed=2)
    above = model_view(part.model_copy(update={"holds": "above"}), replicates=40, seed=2)
    assert below.share + above.share == pytest.approx(1)
    assert below.share >= 0.5 if below.value < 0 else below.share <= 0.5
    year = shipped()["long_lasting"].parts["year"]
    # late minus nothing of the early difference is the late difference itself
    whole = model_view(year.model_copy(update={"threshold": 0.0}), replicates=40, seed=2)
    late = model_view(part.model_copy(update={"month": 12.0}), replicates=40, seed=2)
    assert (whole.value, whole.interval) == (late.value, late.interval)
