"""Adverse events of a registry record as rows: totals, terms and withdrawals, with their numbers at risk."""

import re
from collections.abc import Mapping

from stemtrial.evidence.imports import times
from stemtrial.evidence.imports.groups import Link
from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node

_ORGANS = {
    "neoplasms": "neoplasm",
    "infections": "infection",
    "immune system": "immune",
    "vascular disorders": "vascular",
}
_TERMS = (
    (r"(?:injection|administration|implant\w*)[- ]site.*pain", "injection_site_pain"),
    (r"joint (?:swelling|effusion)", "joint_swelling"),
)
_TOTALS = (
    ("deaths", "death from any cause", "other", True),
    ("serious", "serious adverse event", "serious_any", True),
    ("other", "any adverse event that is not serious", "other", False),
)


def draft_events(
    record: Node,
    ledger: Ledger,
    trial_id: str,
    links: Mapping[str, Link],
    flow: Mapping[str, Link],
    months: str,
) -> None:
    """Draft every count of participants with an event.

    Parameters
    ----------
    months
        Follow-up of the trial as text, for withdrawals; may be empty.
    """
    module = record.at("resultsSection.adverseEventsModule")
    frame = module["timeFrame"]
    named = [month for month in times.months(frame.text) if month > 0]
    at_risk: dict[tuple[str, str], Node] = {}
    for group in module["eventGroups"].items:
        for stem, event, category, serious in _TOTALS:
            affected, risk = group[f"{stem}NumAffected"], group[f"{stem}NumAtRisk"]
            at_risk[group["id"].text, stem] = risk
            if affected.value is None:
                continue
            threshold = module["frequencyThreshold"]
            if stem == "other" and threshold.number != 0:
                reason = f"events below {threshold.text or 'an unknown'} % are not in this total"
                ledger.refuse(affected, reason)
                continue
            draft = _begin(ledger, trial_id, links, group["id"], affected)
            if draft is not None:
                _fill(ledger, draft, event, category, serious, affected, risk, f"adverse events, {stem}")
                _until(ledger, draft, frame, named)
    for kind, serious in (("seriousEvents", True), ("otherEvents", False)):
        for term in module[kind].items:
            for stat in term["stats"].items:
                affected, risk = stat["numAffected"], stat["numAtRisk"]
                if affected.value is None:
                    continue
                draft = _begin(ledger, trial_id, links, stat["groupId"], affected)
                if draft is None:
                    continue
                if risk.value is None:
                    risk = at_risk.get((stat["groupId"].text, "serious" if serious else "other"), risk)
                place = f"adverse events, {'serious' if serious else 'other'}: {term['organSystem'].text}"
                category = _category(term)
                _fill(
                    ledger,
                    draft,
                    term["term"].text.lower(),
                    category,
                    serious,
                    affected,
                    risk,
                    place,
                    term["term"],
                )
                ledger.link(term["organSystem"], draft, "inferred", "category by organ system and term")
                _until(ledger, draft, frame, named)
    _withdrawals(record, ledger, trial_id, flow, months)


def _begin(
    ledger: Ledger, trial_id: str, links: Mapping[str, Link], group: Node, count: Node
) -> Draft | None:
    link = links.get(group.text)
    if link is None or link.arm_id is None:
        ledger.refuse(count, link.reason if link else f"the group {group.text} is not listed")
        return None
    return ledger.draft(  # reliability by the rule of outcome rows
        "events",
        trial_id=trial_id,
        arm_id=link.arm_id,
        analysis_set="primary",
        reliability="moderate",
        reliability_note="from a registry record, not a reviewed report",
        reference_id=trial_id,
    )


def _fill(
    ledger: Ledger,
    draft: Draft,
    event: str,
    category: str,
    serious: bool,
    affected: Node,
    risk: Node,
    place: str,
    *named: Node,
) -> None:
    ledger.put(
        draft, "event", event, *named, how="converted" if named else "inferred", reason="name of the event"
    )
    draft.cells |= {"category": category, "serious": str(serious).lower(), "source_locator": place}
    for column, node in (("n_with_event", affected), ("n_at_risk", risk)):
        if node.count is not None and (column == "n_with_event" or node.count > 0):
            ledger.put(draft, column, node.count, node)
        else:
            ledger.doubt(draft, column, f"no whole number ({node.shown or 'nothing'})", node)


def _until(ledger: Ledger, draft: Draft, frame: Node, named: list[float]) -> None:
    if named:
        rule = f"latest time that the time frame of the events names; {times.RULE}"
        ledger.put(draft, "follow_up_months", max(named), frame, how="inferred", reason=rule)
    else:
        reason = f"the time frame of the events ({frame.text or 'none'}) names no time"
        ledger.doubt(draft, "follow_up_months", reason, frame)


def _category(event: Node) -> str:
    for pattern, category in _TERMS:
        if re.search(pattern, event["term"].text, re.I):
            return category
    organ = event["organSystem"].text.lower()
    return next((category for start, category in _ORGANS.items() if organ.startswith(start)), "other")


def _withdrawals(record: Node, ledger: Ledger, trial_id: str, links: Mapping[str, Link], months: str) -> None:
    """Draft withdrawals because of adverse events, where the flow has one period."""
    periods = record.at("resultsSection.participantFlowModule.periods").items
    if len(periods) != 1:
        return
    started = {
        entry["groupId"].text: entry["numSubjects"]
        for milestone in periods[0]["milestones"].items
        if milestone["type"].text == "STARTED"
        for entry in milestone["achievements"].items
    }
    for drop in periods[0]["dropWithdraws"].items:
        if drop["type"].text.lower() != "adverse event":
            continue
        for entry in drop["reasons"].items:
            draft = _begin(ledger, trial_id, links, entry["groupId"], entry["numSubjects"])
            if draft is None:
                continue
            risk = started.get(entry["groupId"].text, Node(None, entry.path))
            event = "withdrawal due to adverse events"
            _fill(
                ledger,
                draft,
                event,
                "withdrawal",
                False,
                entry["numSubjects"],
                risk,
                "participant flow",
                drop["type"],
            )
            if months:
                rule = "follow-up of the trial"
                ledger.put(draft, "follow_up_months", months, how="inferred", reason=rule)
            else:
                ledger.doubt(draft, "follow_up_months", "the follow-up of the trial is not known")
