"""The trial and its registry entry as rows."""

import re

from stemtrial.evidence.imports import times
from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node

_CONDITIONS = {
    "knee_oa": r"\A(?=.*\bknees?\b)(?=.*osteo-?arthr)|\bgonarthrosis\b",
    "hip_oa": r"\A(?=.*\bhips?\b)(?=.*osteo-?arthr)|\bcoxarthrosis\b",
    "disc_degeneration": r"\A(?=.*\bdis[ck]s?\b)(?=.*degenerat)|discogenic",
    "chronic_low_back_pain": r"\A(?=.*\bchronic\b)(?=.*\blow(?:er)? back pain\b)",
}
_DESIGNS = {"RANDOMIZED": "rct", "NON_RANDOMIZED": "nonrandomised_controlled"}
_INDUSTRY, _PUBLIC = {"INDUSTRY"}, {"NIH", "FED", "OTHER_GOV"}


def draft_reference(record: Node, ledger: Ledger, trial_id: str) -> None:
    """Draft the registry entry as a reference."""
    about = record.at("protocolSection.identificationModule")
    number, title = about["nctId"], about["briefTitle"]
    draft = ledger.draft("references", reference_id=trial_id, read_as="registry", id_basis="page")
    ledger.put(draft, "registry_id", number.text, number)
    if title.text:
        citation = f"{title.text}. ClinicalTrials.gov {number.text}"
        ledger.put(draft, "citation", citation, title, how="converted", reason="title and registry number")
    else:
        ledger.doubt(draft, "citation", "the record has no title")
    ledger.put(
        draft,
        "url",
        f"https://clinicaltrials.gov/study/{number.text}",
        number,
        how="converted",
        reason="address of a record by its number",
    )


def draft_trial(
    record: Node, ledger: Ledger, trial_id: str, *, has_cells: bool | None, indication: str | None
) -> Draft:
    """Draft the trial; what its columns need and the record leaves open waits for review.

    Parameters
    ----------
    has_cells
        Whether an arm was recognised as cells; None where that is open.
    indication
        The indication, if the user named it.
    """
    protocol = record["protocolSection"]
    draft = ledger.draft("trials", trial_id=trial_id, reference_id=trial_id)
    number, title = (protocol["identificationModule"][name] for name in ("nctId", "briefTitle"))
    ledger.put(draft, "registry_id", number.text, number)
    if title.text:
        ledger.put(draft, "citation", title.text, title)
    else:
        ledger.doubt(draft, "citation", "the record has no title")
    if indication:
        said = protocol.at("conditionsModule.conditions").items
        ledger.put(draft, "indication", indication, *said, how="read", reason="said by the user")
    else:
        _indication(protocol["conditionsModule"], ledger, draft)
    _design(protocol["designModule"], ledger, draft)
    _blinding(protocol.at("designModule.designInfo.maskingInfo"), ledger, draft)
    _size(protocol.at("designModule.enrollmentInfo"), ledger, draft)
    _follow_up(record, ledger, draft)
    _funding(protocol["sponsorCollaboratorsModule"], ledger, draft)
    places = [
        each["country"]
        for each in protocol.at("contactsLocationsModule.locations").items
        if each["country"].text
    ]
    if places:
        ledger.put(draft, "country", ";".join(dict.fromkeys(each.text for each in places)), *places)
    ledger.put(draft, "risk_of_bias", "unclear", how="inferred", reason="the record gives no judgement")
    ledger.put(draft, "rob_source", "not judged", how="inferred", reason="the record gives no judgement")
    if has_cells is None:
        reason = "no arm is recognised as cells, and the treatment of some arm is not recognised"
        ledger.doubt(draft, "is_comparator_only", reason)
    else:
        rule = "whether an arm was recognised as cells"
        ledger.put(draft, "is_comparator_only", not has_cells, how="inferred", reason=rule)
    status, why = (protocol["statusModule"][name] for name in ("overallStatus", "whyStopped"))
    if status.text:
        notes = f"Registry status {status.text}" + (f": {why.text}" if why.text else "")
        ledger.put(draft, "notes", notes, status, *([why] if why.text else []), reason="status of the record")
    return draft


def _indication(module: Node, ledger: Ledger, draft: Draft) -> None:
    conditions = module["conditions"].items
    # a comma in a registry condition turns it round: "Osteoarthritis, Knee"
    found = {
        name
        for each in conditions
        for name, pattern in _CONDITIONS.items()
        if re.search(pattern, each.text, re.I)
    }
    rule = "a condition of the record names it, and none names another"
    if len(found) == 1:
        ledger.put(draft, "indication", found.pop(), *conditions, how="inferred", reason=rule)
        return
    named = "; ".join(each.text for each in conditions) or "none given"
    what = f"name several ({', '.join(sorted(found))})" if found else "name none of the package"
    ledger.doubt(draft, "indication", f"the conditions ({named[:120]}) {what}", *conditions)


def _design(module: Node, ledger: Ledger, draft: Draft) -> None:
    allocation, model, kind = (
        module.at("designInfo.allocation"), module.at("designInfo.interventionModel"), module["studyType"],
    )  # fmt: skip
    if kind.text not in ("INTERVENTIONAL", ""):
        ledger.doubt(draft, "design", f"a study of type {kind.text}, not a trial", kind)
    elif allocation.text in _DESIGNS:
        ledger.put(draft, "design", _DESIGNS[allocation.text], allocation)
    elif model.text == "SINGLE_GROUP":
        ledger.put(draft, "design", "single_arm", model)
    else:
        ledger.doubt(draft, "design", "the record does not say how participants were allocated", allocation)
    if model.text == "CROSSOVER":
        reason = "a crossover trial: its periods cannot be told apart in the tables"
        ledger.doubt(draft, "design", reason, model)


def _blinding(module: Node, ledger: Ledger, draft: Draft) -> None:
    masking, masked = module["masking"], module["whoMasked"].items
    who = {each.text for each in masked}
    if masking.text == "NONE":
        ledger.put(draft, "blinding", "open", masking)
    elif "PARTICIPANT" in who and len(who) > 1:
        rule = "participants and one more role were masked"
        ledger.put(draft, "blinding", "double", masking, *masked, how="inferred", reason=rule)
    elif who:
        rule = "participants or other roles were masked, not both"
        ledger.put(draft, "blinding", "single", masking, *masked, how="inferred", reason=rule)
    else:
        rule = "the record does not say who was masked"
        ledger.put(draft, "blinding", "unclear", masking, how="inferred", reason=rule)
    ledger.put(draft, "blinding_basis", "read" if masking.text else "not_read", masking)


def _size(module: Node, ledger: Ledger, draft: Draft) -> None:
    count, kind = module["count"], module["type"]
    if count.count is None:
        return
    if kind.text == "ACTUAL" and count.count and draft.cells.get("design") == "rct":
        ledger.put(
            draft, "n_randomised", count.count, count, kind, reason="actual enrolment of a randomised trial"
        )
    else:
        planned = "planned, not actual" if kind.text != "ACTUAL" else "enrolled, but not randomised"
        ledger.refuse(count, f"{planned}: not a number of randomised participants")


def _follow_up(record: Node, ledger: Ledger, draft: Draft) -> None:
    posted = [each["timeFrame"] for each in record.at("resultsSection.outcomeMeasuresModule.outcomeMeasures").items
              if each["classes"].items]  # fmt: skip
    planned = [each["timeFrame"] for name in ("primaryOutcomes", "secondaryOutcomes", "otherOutcomes")
               for each in record.at("protocolSection.outcomesModule")[name].items]  # fmt: skip
    frames = posted or planned
    latest = [(max(named), frame) for frame in frames if (named := times.months(frame.text))]
    if latest:
        month, frame = max(latest, key=lambda pair: pair[0])
        rule = f"latest time that the {'posted' if posted else 'planned'} outcomes name; {times.RULE}"
        ledger.put(draft, "follow_up_months", month, frame, how="inferred", reason=rule)


def _funding(module: Node, ledger: Ledger, draft: Draft) -> None:
    nodes = [module.at("leadSponsor.class"), *(each["class"] for each in module["collaborators"].items)]
    classes = {each.text for each in nodes if each.text}
    if classes and classes <= _INDUSTRY:
        funding = "industry"
    elif classes and classes <= _PUBLIC:
        funding = "public"
    elif classes & _INDUSTRY and classes & _PUBLIC:
        funding = "mixed"
    else:
        funding = "unclear"
    rule = "classes of sponsor and collaborators: all industry, all public, or both; anything else is unclear"
    ledger.put(draft, "funding", funding, *nodes, how="inferred", reason=rule)
