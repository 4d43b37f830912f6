"""Results and baseline scores of a registry record as outcome rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from stemtrial.evidence.imports import measures, times
from stemtrial.evidence.imports.armrows import participants
from stemtrial.evidence.imports.dispersion import put_spread
from stemtrial.evidence.imports.groups import Link
from stemtrial.evidence.imports.ledger import Draft, Ledger, cell
from stemtrial.evidence.imports.node import Node

_MEANS = {
    "MEAN": "mean",
    "LEAST_SQUARES_MEAN": "mean",
    "MEDIAN": "median",
}
_COUNT = "COUNT_OF_PARTICIPANTS"


@dataclass(frozen=True)
class _Result:
    """One measurement and everything about it that stands further up in the record."""

    measure: Node
    visit: Node
    category: Node
    entry: Node
    denominator: Node | None
    place: str
    baseline: bool


def draft_outcomes(
    record: Node, ledger: Ledger, trial_id: str, linked: Mapping[str, Mapping[str, Link]]
) -> None:
    """Draft a row for every measurement of an arm.

    Parameters
    ----------
    linked
        The links of the groups of every measure, by the path of the module or measure that lists the groups.
    """
    module = record.at("resultsSection.baselineCharacteristicsModule")
    for measure in module["measures"].items:
        title, about = measure["title"].text, measure["description"].text
        if measures.recognise(title, about).what and measure["paramType"].text != _COUNT:
            _measure(measure, module, ledger, trial_id, linked.get(module.path, {}), baseline=True)
    for measure in record.at("resultsSection.outcomeMeasuresModule.outcomeMeasures").items:
        if measure["reportingStatus"].text == "NOT_POSTED" or not measure["classes"].items:
            ledger.refuse(measure["title"], "no results are posted for this outcome")
            continue
        _measure(measure, measure, ledger, trial_id, linked.get(measure.path, {}), baseline=False)


def _measure(
    measure: Node, holder: Node, ledger: Ledger, trial_id: str, links: Mapping[str, Link], baseline: bool
) -> None:
    classes = measure["classes"].items
    visits = sum(times.visit(each["title"].text) is not None for each in classes)
    overall = participants(holder["denoms"]) | participants(measure["denoms"])
    place = (
        f"{'baseline' if baseline else measure['type'].text.lower() + ' outcome'}: {measure['title'].text}"
    )
    for each in classes:
        sizes = overall | participants(each["denoms"])
        for category in each["categories"].items:
            for entry in category["measurements"].items:
                group = entry["groupId"].text
                link = links.get(group)
                if link is None or link.arm_id is None:
                    reason = (
                        link.reason
                        if link
                        else f"the group {group or '(none)'} is not listed for this measure"
                    )
                    ledger.refuse(entry["value"], reason)
                elif entry["value"].number is None:
                    comment = f": {entry['comment'].text}" if entry["comment"].text else ""
                    ledger.refuse(entry["value"], f"not a number{comment}")
                else:
                    result = _Result(measure, each, category, entry, sizes.get(group), place, baseline)
                    _row(result, ledger, trial_id, link.arm_id, visits)


def _row(result: _Result, ledger: Ledger, trial_id: str, arm_id: str, visits: int) -> None:
    measure, entry = result.measure, result.entry
    draft = ledger.draft(
        "outcomes",
        trial_id=trial_id,
        arm_id=arm_id,
        reference_id=trial_id,
        secondary=False,
        analysis_set="primary",
    )
    frame = f"; time frame: {measure['timeFrame'].text}" if measure["timeFrame"].text else ""
    visit = f", {result.visit['title'].text}" if result.visit["title"].text else ""
    draft.cells["source_locator"] = cell(f"{result.place}{visit}{frame}")
    _when(result, ledger, draft)
    size = result.denominator.count if result.denominator is not None else None
    if result.denominator is not None and size:
        ledger.put(draft, "n", result.denominator.text, result.denominator)
    else:
        ledger.refuse(entry["groupId"], f"no number of participants is given for the group ({draft.name})")
    if result.category["title"].text and measure["paramType"].text == _COUNT:
        reason = (
            f"one of several categories ({result.category['title'].text}): which is a response is not coded"
        )
        ledger.doubt(draft, "instrument", reason, result.category["title"])
        draft.cells["value"] = entry["value"].text
        ledger.link(entry["value"], draft, "not mapped", reason)
        return
    if measure["paramType"].text == _COUNT:
        _share(result, ledger, draft, size)
    else:
        _score(result, ledger, draft, visits)
        put_spread(ledger, draft, entry, measure["dispersionType"], size)
    _reliability(measure, ledger, draft)


def _when(result: _Result, ledger: Ledger, draft: Draft) -> None:
    title, frame = result.visit["title"], result.measure["timeFrame"]
    if result.baseline:
        ledger.put(draft, "time_months", 0, how="inferred", reason="a baseline characteristic")
    elif (month := times.visit(title.text)) is not None:
        ledger.put(draft, "time_months", month, title, how="converted", reason=f"visit; {times.RULE}")
    elif (month := times.visit(frame.text)) is not None:
        rule = f"the one time after baseline in the time frame; {times.RULE}"
        ledger.put(draft, "time_months", month, frame, how="converted", reason=rule)
    else:
        reason = (
            f"neither {title.text or 'the class'} nor the time frame ({frame.text or 'none'}) names one visit"
        )
        ledger.doubt(draft, "time_months", reason, frame)


def _score(result: _Result, ledger: Ledger, draft: Draft, visits: int) -> None:
    measure, value = result.measure, result.entry["value"]
    title, about, unit, frame = (
        measure[name] for name in ("title", "description", "unitOfMeasure", "timeFrame")
    )
    ledger.put(draft, "value", value.text, value)
    subscale = result.visit["title"].text if times.visit(result.visit["title"].text) is None else ""
    found = measures.recognise(f"{title.text} {subscale}".strip(), about.text)
    if found.what is None:
        ledger.doubt(draft, "instrument", found.reason, title)
    else:
        ledger.put(draft, "instrument", found.what, title, how="inferred", reason=found.reason)
        known = measures.known()[found.what]
        draft.cells |= {"construct": known.construct, "scale_kind": known.kind}
        form, reason = measures.scale_of(found.what, title.text, about.text, unit.text)
        if form is None:
            ledger.doubt(draft, "scale_min", reason, about if about.text else unit)
            draft.problems |= dict.fromkeys(("scale_max", "higher_is_better"), reason)
        else:
            sources = [node for node in (title, about, unit) if measures.states(form, node.text)]
            ledger.put(draft, "scale_min", form.low, *sources, how="inferred", reason=reason)
            ledger.put(draft, "scale_max", form.high, *sources, how="inferred", reason=reason)
            ledger.put(
                draft, "higher_is_better", form.higher_is_better, *sources, how="inferred", reason=reason
            )
    parameter = measure["paramType"]
    if parameter.text not in _MEANS:
        ledger.doubt(
            draft, "statistic", f"the tables have no statistic {parameter.text or '(none)'}", parameter
        )
        return
    change, reason = (
        (False, "a baseline characteristic")
        if result.baseline
        else measures.is_change(title.text, about.text, unit.text, frame.text, visits)
    )
    if change and draft.cells.get("time_months") == "0":
        change, reason = None, "a change at baseline: level or change is open"
    if change is None:
        ledger.doubt(draft, "statistic", reason, parameter)
    else:
        statistic = _MEANS[parameter.text] + ("_change" if change else "")
        ledger.put(draft, "statistic", statistic, parameter, how="inferred", reason=reason)


def _share(result: _Result, ledger: Ledger, draft: Draft, size: int | None) -> None:
    """Write a count of participants with a response as a per cent of its denominator."""
    title, value = result.measure["title"], result.entry["value"]
    scored = measures.recognise(title.text, result.measure["description"].text)
    found = measures.responder(title.text, scored.what)
    if found.what is None:
        ledger.doubt(draft, "instrument", found.reason, title)
    else:
        ledger.put(draft, "instrument", found.what, title, how="inferred", reason=found.reason)
        known = measures.known()[found.what]
        draft.cells |= {"construct": known.construct, "scale_kind": known.kind}
        draft.cells |= {"scale_min": "0", "scale_max": "100", "higher_is_better": "true"}
    draft.cells["statistic"] = "percent"
    if size and value.count is not None and value.count <= size:
        share, rule = round(100 * value.count / size, 4), f"100 × {value.count} / {size}"
        ledger.put(draft, "value", share, value, how="converted", reason=rule)
    else:
        reason = f"{value.shown} of {size or 'an unknown number of'} participants is no share"
        ledger.doubt(draft, "value", reason, value)


def _reliability(measure: Node, ledger: Ledger, draft: Draft) -> None:
    spread = any(draft.cells.get(column) for column in ("sd", "se", "ci_low", "iqr_low"))
    remarks = ["from a registry record, not a reviewed report"]
    if measure["paramType"].text == "LEAST_SQUARES_MEAN":
        remarks.append("least-squares mean")
    if not spread and draft.cells.get("statistic") != "percent":
        remarks.append("no spread given")
    grade = "low" if "no spread given" in remarks else "moderate"
    rule = "rows of registry records are moderate, without a spread low"
    ledger.put(draft, "reliability", grade, how="inferred", reason=rule)
    draft.cells["reliability_note"] = "; ".join(remarks)


def choose_primary(ledger: Ledger) -> None:
    """Keep one primary row for each arm, construct and visit: the first of the record, which lists them so."""
    seen = set()
    for draft in ledger.drafts:
        if draft.table != "outcomes":
            continue
        key = tuple(draft.cells.get(column) for column in ("arm_id", "construct", "time_months"))
        ready = not draft.problems
        if ready and key in seen:
            rule = "an earlier measure of the record is primary for this arm, construct and visit"
            ledger.put(draft, "analysis_set", "sensitivity", how="inferred", reason=rule)
        elif ready:
            seen.add(key)
