"""A claim held against the evidence: every number of the verdict, what it rests on and what could change it."""

import json
from dataclasses import dataclass, replace
from typing import Any

from stemtrial.claims.claim import Claim, Part
from stemtrial.claims.context import context
from stemtrial.claims.estimating import Estimate, Nothing, estimate
from stemtrial.claims.grading import certainty
from stemtrial.claims.nexttrial import Change, changes, of_claim
from stemtrial.claims.rule import Judged, Verdict, judge, rule_hash, together
from stemtrial.claims.sensitivity import Variant, variants
from stemtrial.claims.sentences import claim_sentence, missing, sentence
from stemtrial.claims.studies import Body, collect
from stemtrial.claims.virtual import ModelView, model_view
from stemtrial.errors import InputError
from stemtrial.evidence.certainty import Judgement
from stemtrial.evidence.plain import plain
from stemtrial.evidence.tables import Evidence

MODEL = "none: the verdict rests on published trials alone"
STRUCTURES = "not compared: no model enters the verdict"
UNWEIGHED = "not compared: the constants carry no weights of rival structures"


@dataclass(frozen=True)
class PartResult:
    """One part: its studies, the estimate (or why there is none), the judgement and what could change it.

    ``context`` and ``model`` stand beside the estimate without entering it.
    """

    name: str
    part: Part
    body: Body
    found: Estimate | Nothing
    judgements: tuple[Judgement, ...]
    judged: Judged
    sensitivity: tuple[Variant, ...]
    changes: tuple[Change, ...]
    context: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    sentence: str
    model: ModelView | None


@dataclass(frozen=True)
class Assessment:
    """A claim with its verdict.

    Attributes
    ----------
    sensitivity
        Verdict on the claim with each narrower set of studies in all its parts at once.
    changes
        The smallest further trials that would change the verdict.
    evidence_hash, rule_hash
        The verdict can change only when one of the two does.
    model, structures
        The constants behind the virtual trials shown beside the verdict, and the weights of rival structures;
        no verdict rests on them.
    seed
        Of the virtual trials; ``None`` where none were asked for, as nothing else is drawn.
    """

    name: str
    claim: Claim
    parts: tuple[PartResult, ...]
    judged: Judged
    sentence: str
    sensitivity: tuple[tuple[str, Judged], ...]
    changes: tuple[Change, ...]
    evidence_hash: str
    rule_hash: str
    model: str = MODEL
    structures: str = STRUCTURES
    seed: int | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judged.verdict


def assess(name: str, claim: Claim, evidence: Evidence, *, replicates: int = 0, seed: int = 1) -> Assessment:
    """Hold a claim against the evidence.

    Parameters
    ----------
    replicates, seed
        Virtual trials shown beside parts that name a design, 0 for none, and the address of their draws.

    Raises
    ------
    InputError
        A part asks for an event that no table knows; parts that merely have no data are no error.

    Examples
    --------
    >>> from stemtrial.claims.claim import shipped
    >>> from stemtrial.evidence import load
    >>> found = assess("calms_inflammation", shipped()["calms_inflammation"], load())
    >>> found.verdict, found.judged.p, found.parts[0].found.reason
    ('uncertain', (0.0, 1.0), 'no study')
    """
    try:
        parts = tuple(_part(key, part, evidence, replicates, seed) for key, part in claim.parts.items())
    except InputError as error:
        raise InputError(*(replace(found, file=found.file or name) for found in error.problems)) from None
    judged = together([result.judged for result in parts])
    views = [result.model for result in parts if result.model is not None]
    return Assessment(
        name=name,
        claim=claim,
        parts=parts,
        judged=judged,
        sentence=claim_sentence(claim, judged, [result.judged for result in parts]),
        sensitivity=_sensitivity(parts),
        changes=of_claim([(result.name, result.changes) for result in parts]),
        evidence_hash=evidence.hash,
        rule_hash=rule_hash(claim),
        model=_constants(views[0]) if views else MODEL,
        structures=_structures(views[0]) if views else STRUCTURES,
        seed=seed if views else None,
    )


def _constants(view: ModelView) -> str:
    return f"beside the verdict only: {view.label} ({view.fingerprint[:12]})"


def _structures(view: ModelView) -> str:
    if view.structures is None:
        return UNWEIGHED
    return "weights of the rival structures: " + ", ".join(
        f"{name.replace('_', ' ')} {weight:.2f}" for name, weight in view.structures.items()
    )


def _part(name: str, part: Part, evidence: Evidence, replicates: int, seed: int) -> PartResult:
    body = collect(part, evidence)
    found = estimate(part, body.data)
    judgements: tuple[Judgement, ...] = ()
    judged = judge((0.0, 1.0), "very_low")
    if isinstance(found, Estimate):
        level, judgements = certainty(part, body.data, found, len(body.silent))
        judged = judge((found.p, found.p), level)
    return PartResult(
        name=name,
        part=part,
        body=body,
        found=found,
        judgements=judgements,
        judged=judged,
        sensitivity=variants(part, body.data, len(body.silent)),
        changes=changes(part, body.data, found, len(body.silent)),
        context=context(part, body.data, evidence),
        missing=missing(part, body, found),
        sentence=sentence(part, found, judged.certainty),
        model=model_view(part, replicates=replicates, seed=seed) if replicates else None,
    )


def _sensitivity(parts: tuple[PartResult, ...]) -> tuple[tuple[str, Judged], ...]:
    names = (
        "without open-label trials",
        "without trials at high risk of bias",
        "without the most influential",
    )
    found = []
    for place, name in enumerate(names):
        each = [result.sensitivity[place] for result in parts]
        found.append(
            (
                name,
                together(
                    [judge((v.found.p, v.found.p) if v.found else (0.0, 1.0), v.certainty) for v in each]
                ),
            )
        )
    return tuple(found)


def document(found: Assessment) -> dict[str, Any]:
    """Return an assessment as JSON data."""
    data: dict[str, Any] = plain(
        {
            "claim": found.name,
            "title": found.claim.title,
            "promise": found.claim.promise,
            "verdict": found.verdict,
            "p": found.judged.p,
            "certainty": found.judged.certainty,
            "sentence": found.sentence,
            "evidence_hash": found.evidence_hash,
            "rule_hash": found.rule_hash,
            "model": found.model,
            "structures": found.structures,
            "seed": found.seed,
            "sensitivity": [{"name": name} | plain(judged) for name, judged in found.sensitivity],
            "smallest_trials": found.changes,
            "parts": [_part_document(result) for result in found.parts],
        }
    )
    return data


def _part_document(result: PartResult) -> dict[str, Any]:
    known = isinstance(result.found, Estimate)
    return {
        "name": result.name,
        "estimand": json.loads(result.part.model_dump_json(exclude_none=True)),
        "estimate": plain(result.found) if known else None,
        "status": "ok" if isinstance(result.found, Estimate) else result.found.reason,
        "p": result.judged.p,
        "certainty": result.judged.certainty,
        "verdict": result.judged.verdict,
        "sentence": result.sentence,
        "judgements": result.judgements,
        "studies": result.body.data,
        "left_out": result.body.left_out,
        "silent": result.body.silent,
        "missing": result.missing,
        "sensitivity": result.sensitivity,
        "smallest_trials": result.changes,
        "context": result.context,
        "model": result.model,
    }
