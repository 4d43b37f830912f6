"""Where a number of an evaluation comes from: the belief about the constants, and the rows of the evidence tables."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stemtrial.documents import nearest
from stemtrial.errors import InputError, Problem
from stemtrial.evidence.eventrisk import option_of
from stemtrial.evidence.tables import Evidence

Document = Mapping[str, Any]


@dataclass(frozen=True)
class SourceRow:
    """A row of an evidence table: its number (1 = first), what it says, and its reference."""

    table: str
    row: int
    says: str
    reference_id: str


@dataclass(frozen=True)
class Origin:
    """Where a field of an evaluation comes from.

    Parameters
    ----------
    field, value
        As in the document; where it is nested, how many entries it has.
    how
        How it was obtained, in a sentence.
    belief, fingerprint, seed
        Of the constants it was simulated from; ``None`` where nothing was simulated.
    rows
        Of the evidence tables.
    citations
        Of the references of the rows, each with an identifier.
    """

    field: str
    value: object
    how: str
    belief: str | None
    fingerprint: str | None
    seed: int | None
    rows: tuple[SourceRow, ...]
    citations: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def resolve(document: Document, field: str) -> tuple[tuple[str, ...], Any]:
    """Return the parts of a path such as ``outlook.options.saline.course.6.pain.mean``, and what stands there.

    Raises
    ------
    InputError
        If nothing stands there; the message names what does at the last place that exists.

    Examples
    --------
    >>> resolve({"suitability": {"trials": [{"label": "Kuah 2018"}]}}, "suitability.trials[0].label")
    (('suitability', 'trials', '0', 'label'), 'Kuah 2018')
    """
    parts = tuple(part for part in re.split(r"[.\[\]]+", field) if part)
    found: Any = document
    for depth, part in enumerate(parts):
        names = (
            list(found)
            if isinstance(found, Mapping)
            else [str(index) for index in range(len(found))]
            if isinstance(found, list)
            else []
        )
        if part not in names:
            near = nearest(part, names) if names else None
            place = ".".join(parts[:depth]) or "the evaluation"
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            hint = f"did you mean `{near}`?" if near else None
            allowed = f"in {place}: {shown}" if names else f"{place} is a single value"
            raise InputError(
                Problem(
                    "is not a field of the evaluation",
                    field="--explain",
                    value=field,
                    allowed=allowed,
                    hint=hint,
                )
            )
        found = found[int(part)] if isinstance(found, list) else found[part]
    return parts, found


def explain(document: Document, field: str, evidence: Evidence) -> Origin:
    """Trace a field of an evaluation.

    Parameters
    ----------
    document
        As :meth:`stemtrial.candidate.assessment.Assessment.to_dict` returns it.
    field
        Path of the field.
    evidence
        The tables it was made with.

    Raises
    ------
    InputError
        For a field that does not exist.
    """
    parts, value = resolve(document, field)
    nested = isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value)
    )
    outlook = document.get("outlook") or {}
    simulated = parts[:1] in (("update",), ("checks",)) or (parts[:1] == ("outlook",) and _simulated(parts))
    how, rows = _origin(document, parts, evidence)
    references = list(dict.fromkeys(row.reference_id for row in rows))
    return Origin(
        field=".".join(parts),
        value=f"{len(value)} entries" if nested else value,
        how=how,
        belief=outlook["belief"] if simulated else None,
        fingerprint=outlook["fingerprint"] if simulated else None,
        seed=outlook["seed"] if simulated else None,
        rows=tuple(rows),
        citations=tuple(_cited(evidence, references)),
    )


def _simulated(parts: Sequence[str]) -> bool:
    counted = {"harms", "harms_note", "label", "name", "text", "dose_note"}
    return parts[1:2] in (("options",), ("pairs",), ("effective_draws",), ("inert",)) and not counted & set(
        parts[3:4]
    )


def _origin(document: Document, parts: Sequence[str], evidence: Evidence) -> tuple[str, list[SourceRow]]:
    match list(parts):
        case ["suitability", *rest]:
            how = "the rules of the criteria table, evaluated on the record in three-valued logic"
            return how, list(_criteria(document, rest, evidence))
        case ["outlook", "options", name, "harms", index, *_]:
            return _counted(document, document["outlook"]["options"][name]["harms"][int(index)], evidence)
        case ["harms", name, index, *_]:
            return _counted(document, document["harms"][name][int(index)], evidence)
        case ["outlook", "options", _, "harms", *_] | ["harms", *_]:
            return "events of published arms and rows of the table of harms", []
        case ["outlook", "options", name, *rest]:
            draws, within = (document["outlook"][key] for key in ("draws", "within"))
            how = (
                f"simulated: {draws} draws of constants and trial, {within} virtual persons like this one for each, "
                "read as a trial would read them"
            )
            return how, [
                *_dose(name, document["indication"], evidence),
                *_important(document, rest, evidence),
            ]
        case ["outlook", "mcid" | "mcid_reference", *_]:
            return "the smallest change of pain that persons called important", _important(
                document, ["mcid"], evidence
            )
        case ["outlook", "applicability", *rest]:
            how = "the person's values beside those of the participants of published arms"
            return how, list(_participants(document, rest, evidence))
        case ["outlook", "person", *_]:
            return "the record, as the model sees a person", []
        case ["outlook", "inert"]:
            return (
                "weight in the posterior of the structures of the model in which cells do nothing of their own",
                [],
            )
        case ["outlook", "pairs", *_]:
            return "simulated: the same virtual persons under both options", _important(
                document, ["mcid"], evidence
            )
        case ["outlook", *_]:
            return "a setting or a summary of the simulation", []
        case ["update", *_]:
            how = "simulated persons like this one under the option begun, weighted by every reading so far"
            return how, _important(document, ["mcid"], evidence)
        case ["checks", "simulated", *_]:
            return "simulated persons of known outcome, told their chances as a person would be", []
        case ["checks", *_]:
            how = "shares of responders of published arms beside those predicted from all other trials"
            return how, list(_outcomes(document, evidence))
        case ["record", *_]:
            return "the record, converted to the unit kept", []
        case ["evidence_until"]:
            return "the newest year that a citation of the evidence tables prints", []
        case ["row" | "assessed" | "unmapped" | "ignored_fields", *_]:
            return "the file that was read", []
        case _:
            return "the evaluation itself", []


def _criteria(document: Document, rest: Sequence[str], evidence: Evidence) -> Iterator[SourceRow]:
    found = document["suitability"]
    rules = found["rules"]
    match rest:
        case ["rules" | "hard_stops" | "flags" as kind, index, *_]:
            rules = [found[kind][int(index)]]
        case ["hard_stops" | "flags" as kind, *_]:
            rules = found[kind]
        case ["trials", index, *_]:
            rules = [
                rule for rule in rules if rule["reference_id"] in found["trials"][int(index)]["reference_ids"]
            ]
        case ["failing", index, *_]:
            meaning = found["failing"][int(index)]["meaning"]
            rules = [rule for rule in rules if meaning in _meanings(name for name, _ in rule["against"])]
        case ["missing", index, *_]:
            meaning = found["missing"][int(index)]["meaning"]
            rules = [rule for rule in rules if meaning in _meanings(rule["open"])]
        case _:
            pass
    for rule in rules:
        yield SourceRow("criteria", rule["row"], f"{rule['rule']}: {rule['state']}", rule["reference_id"])


def _meanings(names: Iterable[str]) -> set[str]:
    from stemtrial.candidate.quantities import QUANTITIES

    return {QUANTITIES[name].meaning for name in names}


def _counted(document: Document, line: Document, evidence: Evidence) -> tuple[str, list[SourceRow]]:
    how = (
        "events counted in published arms, added up within a band of time; exact interval"
        if line["source"] == "trials"
        else "as the source prints it, per 1,000 where it is a risk"
    )
    return how, list(_harm(document["indication"], line, evidence))


def _harm(indication: str, line: Mapping[str, Any], evidence: Evidence) -> Iterator[SourceRow]:
    if line["source"] == "literature":
        for number, row in enumerate(evidence.harms, 1):
            same = (row.treatment, row.event, row.population) == (
                line["treatment"],
                line["event"],
                line["population"],
            )
            if same and row.preferred and row.reference_id in line["references"]:
                low = "" if row.ci_low is None else f" ({row.ci_low:g} to {row.ci_high:g})"
                yield SourceRow(
                    "harms", number, f"{row.event}: {row.measure} {row.value:g}{low}", row.reference_id
                )
        return
    trials = {trial.trial_id for trial in evidence.trials if trial.indication == indication}
    for number, event in enumerate(evidence.events, 1):
        of_line = (
            event.trial_id in trials
            and event.analysis_set == "primary"
            and event.category == line["event"]
            and option_of(evidence.arm(event.trial_id, event.arm_id)) == line["option"]
            and _in_band(event.follow_up_months, line["time_at_risk"])
        )
        if of_line:
            says = (
                f"{event.trial_id} {event.arm_id}, {event.event}: {event.n_with_event} of {event.n_at_risk}"
            )
            yield SourceRow("events", number, says, event.reference_id)


def _in_band(months: float, band: str) -> bool:
    """Whether a time lies in a band as it is printed: ``up to 1 months``, ``above 6 to 12 months``."""
    ends = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", band)]
    return months <= ends[0] if len(ends) == 1 else ends[0] < months <= ends[1]


def _dose(name: str, indication: str, evidence: Evidence) -> Iterator[SourceRow]:
    """Yield the arms behind the dose of a cell product, whose name is origin, product and source."""
    for number, arm in enumerate(evidence.arms, 1):
        ours = name == f"{arm.origin}_{arm.product}_{arm.cell_source}"
        if (
            ours
            and arm.dose_million_cells is not None
            and evidence.trial(arm.trial_id).indication == indication
        ):
            says = f"{arm.trial_id} {arm.arm_id}: {arm.dose_million_cells:g} million cells"
            yield SourceRow("arms", number, says, arm.reference_id)


def _participants(document: Document, rest: Sequence[str], evidence: Evidence) -> Iterator[SourceRow]:
    """Yield the arms behind the participants' covariates: of one covariate, or of all of them."""
    from stemtrial.candidate.participants import participants

    standings = document["outlook"]["applicability"]["standings"]
    chosen = standings[int(rest[1])]["covariate"] if rest[:1] == ["standings"] and len(rest) > 1 else None
    trials = participants(document["indication"])
    for name in ("age", "bmi", "pain"):
        used = {(arm.trial_id, arm.arm_id): arm for arm in trials.arms[name]}
        for number, row in enumerate(evidence.arms, 1):
            if chosen in (None, name) and (arm := used.get((row.trial_id, row.arm_id))) is not None:
                sd = "not printed" if arm.sd is None else f"{arm.sd:g}"
                says = f"{row.trial_id} {row.arm_id}: {name} {arm.mean:g} (SD {sd}), {arm.n} participants"
                yield SourceRow("arms", number, says, row.reference_id)
    if chosen in (None, "grade"):
        for number, row in enumerate(evidence.arms, 1):
            own = row.severity_scale == "KL" and row.severity_distribution
            if own and evidence.trial(row.trial_id).indication == document["indication"]:
                says = f"{row.trial_id} {row.arm_id}: Kellgren-Lawrence grades {row.severity_distribution}"
                yield SourceRow("arms", number, says, row.reference_id)
        for number, rule in enumerate(evidence.criteria, 1):
            if "kl_grade" in rule.rule and rule.reference_id in {
                t for ts in trials.admitted.values() for t in ts
            }:
                yield SourceRow("criteria", number, rule.rule, rule.reference_id)


def _outcomes(document: Document, evidence: Evidence) -> Iterator[SourceRow]:
    """Yield the rows of outcomes behind the observed shares of responders."""
    for number in document["checks"]["left_out"]["outcome_rows"]:
        row = evidence.outcomes[number - 1]
        says = f"{row.trial_id} {row.arm_id}, month {row.time_months:g}: {row.instrument} {row.statistic} {row.value:g}"
        yield SourceRow("outcomes", number, says, row.reference_id)


def _important(document: Document, rest: Sequence[str], evidence: Evidence) -> list[SourceRow]:
    if not {"mcid", "duration"} & set(rest):
        return []
    reference = document["outlook"]["mcid_reference"]
    return [
        SourceRow("thresholds", number, f"{row.instrument}: {row.value} {row.unit}", row.reference_id)
        for number, row in enumerate(evidence.thresholds, 1)
        if row.reference_id == reference and row.threshold == "mcid" and row.instrument.startswith("VAS")
    ]


def _cited(evidence: Evidence, references: Iterable[str]) -> Iterator[str]:
    for name in references:
        found = evidence.reference(name)
        yield f"{name}: {found.citation} {f'doi {found.doi}' if found.doi else found.url}"
