"""The arms of a registry record as rows: treatment from their texts, patients from flow and baseline."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stemtrial.evidence.imports import wording
from stemtrial.evidence.imports.dispersion import kind
from stemtrial.evidence.imports.groups import Link
from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node

_ROLES = {
    "EXPERIMENTAL": "experimental",
    "ACTIVE_COMPARATOR": "control",
    "PLACEBO_COMPARATOR": "control",
    "SHAM_COMPARATOR": "control",
    "NO_INTERVENTION": "control",
}
_CELL_COLUMNS = ("cell_source", "origin", "product")


@dataclass(frozen=True)
class ArmGroup:
    """An arm as registered: its identity, its entry, the interventions in it and which are its own alone."""

    arm_id: str
    entry: Node
    interventions: tuple[Node, ...]
    own: tuple[Node, ...]

    @property
    def label(self) -> str:
        """The label as registered."""
        return self.entry["label"].text

    @property
    def kinds(self) -> frozenset[str]:
        """What its interventions are, by their names, else other names, else descriptions."""
        return frozenset().union(*(_kinds(each) for each in self.interventions))


def arm_groups(record: Node) -> tuple[ArmGroup, ...]:
    """Return the registered arms with the interventions that name them or that they name."""
    module = record.at("protocolSection.armsInterventionsModule")
    given: list[tuple[Node, ...]] = []
    for entry in module["armGroups"].items:
        label = entry["label"].text
        named = {_without_prefix(each.text) for each in entry["interventionNames"].items}
        given.append(
            tuple(
                each
                for each in module["interventions"].items
                if each["name"].text.lower() in named
                or label in (other.text for other in each["armGroupLabels"].items)
            )
        )
    arms: list[ArmGroup] = []
    for place, (entry, mine) in enumerate(zip(module["armGroups"].items, given, strict=True), start=1):
        slug = re.sub(r"[^a-z0-9]+", "_", entry["label"].text.lower()).strip("_")[:60]
        own = tuple(each for each in mine if sum(each in others for others in given) == 1)
        taken = slug in ("", *(arm.arm_id for arm in arms))
        arms.append(ArmGroup(f"{slug or 'arm'}_{place}" if taken else slug, entry, mine, own))
    return tuple(arms)


def draft_arm(arm: ArmGroup, ledger: Ledger, trial_id: str, results: Sequence[Node]) -> Draft:
    """Draft one arm from its own texts and those of the result groups linked to it."""
    draft = ledger.draft("arms", trial_id=trial_id, arm_id=arm.arm_id, reference_id=trial_id)
    label, role = arm.entry["label"], arm.entry["type"]
    ledger.put(draft, "label", label.text, label) if label.text else ledger.doubt(
        draft, "label", "has no label"
    )
    if role.text in _ROLES:
        rule = "EXPERIMENTAL is experimental; comparators and no intervention are controls"
        ledger.put(draft, "role", _ROLES[role.text], role, how="converted", reason=rule)
    else:
        ledger.doubt(
            draft, "role", f"the type of arm {role.text or '(none)'} is neither side of a comparison", role
        )
    _injections(arm, ledger, draft, results)
    names = [each["name"] for each in arm.interventions]
    if "cell_therapy" in arm.kinds:
        _cells(arm, ledger, draft, results)
    elif len(arm.kinds) == 1:
        rule = "the one kind of treatment that the names of its interventions speak of"
        ledger.put(draft, "intervention", next(iter(arm.kinds)), *names, how="inferred", reason=rule)
    else:
        several = ", ".join(sorted(arm.kinds)) or "none that the tables know"
        ledger.doubt(draft, "intervention", f"the interventions of the arm speak of: {several}", *names)
    return draft


def _cells(arm: ArmGroup, ledger: Ledger, draft: Draft, results: Sequence[Node]) -> None:
    cells = [each for each in arm.interventions if "cell_therapy" in _kinds(each)]
    rule = "a name speaks of cells"
    ledger.put(
        draft, "intervention", "cell_therapy", *(c["name"] for c in cells), how="inferred", reason=rule
    )
    added = [each["name"] for each in arm.interventions if each not in cells]
    if added:
        ledger.put(draft, "carrier_or_adjunct", " + ".join(each.text for each in added), *added)
    texts = _texts(arm, cells, results)
    for column in _CELL_COLUMNS:
        said = {node: words for node in texts if (words := wording.facts(column, node.text))}
        every = frozenset().union(*said.values())
        if len(every) == 1:
            rule = "the one word of this column that the texts of the arm speak of"
            ledger.put(draft, column, next(iter(every)), *said, how="inferred", reason=rule)
        else:
            _open(ledger, column, sorted(every), list(said), arm)
    own = _texts(
        arm, [each for each in cells if each in arm.own], results
    )  # others name the doses of all arms
    _dose(arm, ledger, draft, own)


def _dose(arm: ArmGroup, ledger: Ledger, draft: Draft, texts: Sequence[Node]) -> None:
    said = {node: doses for node in texts if (doses := wording.doses(node.text))}
    every = sorted({dose for doses in said.values() for dose in doses})
    single = draft.cells.get("n_injections") == "1"
    once = single or any(wording.for_each_injection(node.text) for node in said)
    if len(every) == 1 and once:
        rule = "the one dose in the texts of the arm, in million cells, for one injection"
        ledger.put(draft, "dose_million_cells", every[0], *said, how="inferred", reason=rule)
    elif len(every) == 1:
        reason = f"{every[0]:g} million: for one injection or for several is not said"
        ledger.refuse(next(iter(said)), f"dose of arm {arm.arm_id}: {reason}")
    else:
        _open(ledger, "dose_million_cells", [f"{dose:g}" for dose in every], list(said), arm)


def _injections(arm: ArmGroup, ledger: Ledger, draft: Draft, results: Sequence[Node]) -> None:
    said = {
        node: counts
        for node in _texts(arm, arm.interventions, results)
        if (counts := wording.injections(node.text))
    }
    every = sorted(frozenset().union(*said.values()))
    if len(every) == 1:
        rule = "the one number of injections in the texts of the arm"
        ledger.put(draft, "n_injections", every[0], *said, how="inferred", reason=rule)
        if every == [1]:
            rule = "months are counted from the only injection"
            ledger.put(draft, "injection_times_months", "0", how="inferred", reason=rule)
    elif every:
        _open(ledger, "n_injections", [str(count) for count in every], list(said), arm)


def _texts(arm: ArmGroup, interventions: Sequence[Node], results: Sequence[Node]) -> list[Node]:
    nodes = [arm.entry["label"], arm.entry["description"]]
    nodes += [each[name] for each in interventions for name in ("name", "description")]
    nodes += [other for each in interventions for other in each["otherNames"].items]
    nodes += [group[name] for group in results for name in ("title", "description")]
    return [node for node in nodes if node.text]


def _open(ledger: Ledger, column: str, words: Sequence[str], nodes: Sequence[Node], arm: ArmGroup) -> None:
    """Note an ambiguity, or that nothing was said, and leave the cell empty."""
    place = nodes[0] if nodes else arm.entry["label"]
    said = f"the texts speak of {', '.join(words)}" if words else "the texts do not say"
    ledger.refuse(place, f"{column} of arm {arm.arm_id}: {said}")


def _kinds(intervention: Node) -> frozenset[str]:
    others = " ; ".join(each.text for each in intervention["otherNames"].items)
    for text in (intervention["name"].text, others, intervention["description"].text):
        if found := wording.interventions(text):
            return found
    return frozenset()


def _without_prefix(name: str) -> str:
    """Drop the type that the registry puts before the name of an intervention (``Drug: Saline``)."""
    return re.sub(r"^[A-Z][A-Za-z ]+: ", "", name).lower()


# ---- patients --------------------------------------------------------------------------------------------------


def put_patients(
    record: Node,
    ledger: Ledger,
    arms: Mapping[str, Draft],
    flow: Mapping[str, Link],
    baseline: Mapping[str, Link],
) -> None:
    """Fill size, age, sex, body-mass index and severity of the arms from flow and baseline."""
    results = record["resultsSection"]
    for period in results.at("participantFlowModule.periods").items[:1]:
        for milestone in period["milestones"].items:
            if milestone["type"].text == "STARTED":
                for entry in milestone["achievements"].items:
                    draft = _arm_of(entry, arms, flow)
                    if draft is not None and entry["numSubjects"].count:
                        reason = "participants who started"
                        ledger.put(draft, "n", entry["numSubjects"].text, entry["numSubjects"], reason=reason)
    module = results["baselineCharacteristicsModule"]
    sizes = participants(module["denoms"])
    for name, node in sizes.items():
        draft = arms.get(_arm_id(name, baseline))
        if draft is not None and node.count:
            if "n" not in draft.cells:
                ledger.put(draft, "n", node.text, node, reason="participants at baseline")
            elif draft.cells["n"] == node.text:
                ledger.link(node, draft, "read", "agrees with the participants who started")
            else:
                ledger.refuse(node, f"baseline of arm {draft.cells['arm_id']} has another size than its flow")
    for measure in module["measures"].items:
        _baseline(measure, ledger, arms, baseline, sizes)


def participants(denoms: Node) -> dict[str, Node]:
    """Return the denominator of every group that is a number of participants."""
    return {
        entry["groupId"].text: entry["value"]
        for each in denoms.items
        if each["units"].text.lower() in ("participants", "subjects", "")
        for entry in each["counts"].items
        if entry["value"].count is not None
    }


def _baseline(
    measure: Node,
    ledger: Ledger,
    arms: Mapping[str, Draft],
    links: Mapping[str, Link],
    sizes: Mapping[str, Node],
) -> None:
    title, parameter = measure["title"].text, measure["paramType"].text
    spread = kind(measure["dispersionType"].text).name
    counted = parameter == "COUNT_OF_PARTICIPANTS"
    age = re.match(r"age\b", title, re.I) and measure["unitOfMeasure"].text.lower() == "years"
    bmi = re.search(r"body[- ]mass index|\bBMI\b", title, re.I) and not counted
    if (age or bmi) and parameter == "MEAN":
        column = "age" if age else "bmi"
        for _, entry in _measurements(measure):
            draft = _arm_of(entry, arms, links)
            if draft is not None and entry["value"].number is not None:
                ledger.put(draft, f"{column}_mean", entry["value"].text, entry["value"])
                if spread == "sd" and entry["spread"].number is not None:
                    ledger.put(draft, f"{column}_sd", entry["spread"].text, entry["spread"])
    elif re.match(r"sex\b|gender\b", title, re.I) and counted:
        for category, entry in _measurements(measure):
            draft = _arm_of(entry, arms, links)
            size = sizes.get(entry["groupId"].text)
            count = entry["value"].count
            if (
                category.lower() == "female"
                and draft is not None
                and size is not None
                and count is not None
                and size.count
            ):
                share = round(100 * count / size.count, 2)
                rule = f"100 × {count} / {size.count}"
                ledger.put(draft, "female_pct", share, entry["value"], size, how="converted", reason=rule)
    elif counted and (scale := re.search(r"kellgren|pfirrmann", title, re.I)):
        _severity(measure, ledger, arms, links, "KL" if scale[0].lower() == "kellgren" else "Pfirrmann")


def _severity(
    measure: Node, ledger: Ledger, arms: Mapping[str, Draft], links: Mapping[str, Link], scale: str
) -> None:
    roman = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}
    graded: dict[str, list[tuple[str, Node]]] = {}
    for category, entry in _measurements(measure):
        found = re.search(r"\b([0-5]|i{1,3}|iv|v)\b", category, re.I)
        draft = _arm_of(entry, arms, links)
        if found and draft is not None and entry["value"].count is not None:
            grade = roman.get(found[1].lower(), found[1])
            graded.setdefault(draft.cells["arm_id"], []).append((grade, entry["value"]))
    for arm_id, grades in graded.items():
        nodes = [node for _, node in grades]
        shares = ";".join(f"{grade}:{node.count}" for grade, node in grades if node.count)
        ledger.put(arms[arm_id], "severity_scale", scale, measure["title"])
        ledger.put(
            arms[arm_id], "severity_distribution", shares, *nodes, how="converted", reason="grade:count"
        )


def _measurements(measure: Node) -> list[tuple[str, Node]]:
    """Return every measurement with the title of its category, or of its class where that has none."""
    return [
        (category["title"].text or each["title"].text, entry)
        for each in measure["classes"].items
        for category in each["categories"].items
        for entry in category["measurements"].items
    ]


def _arm_id(group: str, links: Mapping[str, Link]) -> str:
    return (links[group].arm_id or "") if group in links else ""


def _arm_of(entry: Node, arms: Mapping[str, Draft], links: Mapping[str, Link]) -> Draft | None:
    return arms.get(_arm_id(entry["groupId"].text, links))
