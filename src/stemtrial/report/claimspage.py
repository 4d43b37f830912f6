"""The pages of claims: an overview, one page for each claim, their figures and data, and a manifest."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from stemtrial import __version__
from stemtrial.claims.assessing import Assessment, PartResult, document
from stemtrial.claims.rule import CONTRADICTED, LEAST, SUPPORTED
from stemtrial.claims.sentences import cells_words, comparator_words
from stemtrial.evidence.scope import of_the_user
from stemtrial.evidence.tables import Evidence
from stemtrial.report import colours
from stemtrial.report.claimfigures import part_forest, part_sensitivity, probabilities
from stemtrial.report.claimtables import (
    change_table,
    estimand_table,
    estimate_words,
    model_words,
    probability_words,
    sensitivity_table,
    variant_table,
)
from stemtrial.report.evidence_words import heading, marked, whose, words
from stemtrial.report.figure import Table
from stemtrial.report.pageparts import cited, judgement_table, omitted
from stemtrial.report.synthesispage import Page, Section, drawings, render, write_files
from stemtrial.report.templating import templates

RULE = (
    f"Supported: probability at least {SUPPORTED:g} and certainty at least {LEAST}. Contradicted: probability at most "
    f"{CONTRADICTED:g} and certainty at least {LEAST}. Everything else is uncertain."
)


def write_claims(
    folder: Path, found: Sequence[Assessment], evidence: Evidence, command: str
) -> tuple[Path, ...]:
    """Write ``index.html``, a page for each claim, every figure as SVG and CSV, ``claims.json``, ``manifest.json``.

    Returns
    -------
    tuple of Path
        The files, the overview first.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    contents = {"index.html": overview(found, command)}
    contents |= drawings([probabilities(found)])
    for each in found:
        page = claim_page(each, evidence, command)
        contents[f"{each.name}.html"] = render(page)
        contents |= drawings(page.figures, f"{each.name}-")
    data = {"evidence_hash": evidence.hash, "claims": [document(each) for each in found]}
    contents["claims.json"] = json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    manifest = {
        "stemtrial": __version__,
        "command": command,
        "evidence_hash": evidence.hash,
        "seed": next((each.seed for each in found if each.seed is not None), None),
        "claims": {
            each.name: {"rule_hash": each.rule_hash, "claim_hash": each.claim.hash, "model": each.model}
            for each in found
        },
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()},
    }
    contents["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    return write_files(folder, contents)


def overview(found: Sequence[Assessment], command: str) -> str:
    """Return the overview: every promise with its verdict, linked to its page."""
    return (
        templates()
        .get_template("claims.html.j2")
        .render(
            found=found,
            finding=_counted(found),
            rule=RULE,
            figure=probabilities(found),
            probability=probability_words,
            estimate=estimate_words,
            command=command,
            model=next((each.model for each in found if each.seed is not None), found[0].model),
            evidence_hash=found[0].evidence_hash,
            version=__version__,
            colour=colours,
            report={"calibrated": True},
        )
    )


def _counted(found: Sequence[Assessment]) -> str:
    counts = [
        (sum(each.verdict == name for each in found), name)
        for name in ("supported", "contradicted", "uncertain")
    ]
    said = [f"{count or 'none'} {name}" for count, name in counts]
    return f"Of {len(found)} promises {said[0]}, {said[1]} and {said[2]}, on the published trials read here."


def claim_page(found: Assessment, evidence: Evidence, command: str) -> Page:
    """Return the page of one claim."""
    drawn = [draw(result) for result in found.parts for draw in (part_forest, part_sensitivity)]
    trials = [name for result in found.parts for name in _trials(result)]
    users = of_the_user(evidence, trials)
    count = len({datum.trial_id for result in found.parts for datum in result.body.data})
    return Page(
        kind="Promise held against the evidence",
        title=f"{found.claim.title}: {found.verdict}",
        facts=f"P {probability_words(found.judged)} · certainty {found.judged.certainty.replace('_', ' ')} · "
        + ("1 trial" if count == 1 else f"{count} trials"),
        finding=found.sentence,
        remarks=(*(result.sentence for result in found.parts), *((whose(users),) if users else ()), RULE),
        summary=_summary(found),
        figures=tuple(figure for figure in drawn if figure is not None),
        sections=(*(_section(result, users) for result in found.parts), _robustness(found)),
        choices=_choices(found),
        sources=cited(evidence, tuple(_references(found, evidence))),
        command=command,
        evidence_hash=found.evidence_hash,
        up=("index.html", "All promises"),
    )


def _summary(found: Assessment) -> Table:
    rows = tuple(
        (
            heading(result.name.replace("_", " ")),
            result.part.asks,
            estimate_words(result),
            probability_words(result.judged),
            result.judged.certainty.replace("_", " "),
        )
        for result in found.parts
    )
    columns = ("Part", "What must hold", "Estimate (95 %)", "P", "Certainty")
    return Table("The claim holds if all of its parts hold", columns, rows, keys=3)


def _section(result: PartResult, users: Sequence[str]) -> Section:
    """Return what was asked, what is missing, the certainty, the context and what could change the verdict."""
    name = heading(result.name.replace("_", " "))
    tables = [estimand_table(result.part)]
    if result.judgements:
        tables.append(judgement_table(result.judgements))
        tables.append(variant_table(result))
    if result.context:
        tables.append(
            Table("Beside the estimate, without entering it", ("What", "Value"), result.context, keys=2)
        )
    if result.changes:
        tables.append(change_table(result.changes, result.part))
    tables += omitted(marked(result.body.left_out, users)).tables
    said = [*result.missing, *([model_words(result.model)] if result.model else [])]
    return Section(name, " ".join(said), tuple(tables))


def _robustness(found: Assessment) -> Section:
    text = (
        "The rule applied again with narrower sets of studies in all parts at once. Rival structures: "
        f"{found.structures}. The next trial of each part has two equal arms, is blinded and at low risk of bias; its "
        "possible results are those its predictive distribution gives at the stated true value, and it changes the "
        "verdict if at least four fifths of them do."
    )
    tables = [sensitivity_table(found)]
    if found.changes and len(found.parts) > 1:
        tables.append(change_table(found.changes, None))
    return Section("What the verdict rests on", text, tuple(tables))


def _choices(found: Assessment) -> tuple[tuple[str, str], ...]:
    methods = {result.name: getattr(result.found, "method", "no estimate") for result in found.parts}
    populations = dict.fromkeys(result.part.population for result in found.parts)
    return (
        ("Promise", found.claim.promise),
        ("Population", ", ".join(words(name) for name in populations)),
        *(
            (
                f"Comparison, {result.name.replace('_', ' ')}",
                f"{cells_words(result.part.cells)} against {comparator_words(result.part)}",
            )
            for result in found.parts
        ),
        *((f"Method, {name.replace('_', ' ')}", text) for name, text in methods.items()),
        ("Probability", "flat prior: share of the estimate's normal or t distribution beyond the threshold"),
        ("Several parts", "bounds that hold whatever their dependence (Fréchet)"),
        ("Certainty", "fixed rules after GRADE on the numbers of each part"),
        ("Model", found.model),
        ("Seed", "none used: every number is a closed form" if found.seed is None else str(found.seed)),
        ("Rule hash", found.rule_hash),
    )


def _trials(result: PartResult) -> list[str]:
    return [*(datum.trial_id for datum in result.body.data), *(name for name, _ in result.body.left_out)]


def _references(found: Assessment, evidence: Evidence) -> dict[str, None]:
    names: dict[str, None] = {}
    for result in found.parts:
        for datum in result.body.data:
            names |= dict.fromkeys((evidence.trial(datum.trial_id).reference_id, *datum.references))
    return names
