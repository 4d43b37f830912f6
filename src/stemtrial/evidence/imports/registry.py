"""A study record of the ClinicalTrials.gov API as rows for review."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.imports import groups
from stemtrial.evidence.imports.armrows import arm_groups, draft_arm, put_patients
from stemtrial.evidence.imports.eventrows import draft_events
from stemtrial.evidence.imports.folder import Imported, Source, take_in
from stemtrial.evidence.imports.jsontext import parse, printable, read_bytes
from stemtrial.evidence.imports.ledger import Draft, Ledger
from stemtrial.evidence.imports.node import Node
from stemtrial.evidence.imports.outcomerows import choose_primary, draft_outcomes
from stemtrial.evidence.imports.record import account_for_the_rest, check_shape
from stemtrial.evidence.imports.trialrow import draft_reference, draft_trial
from stemtrial.evidence.merging import registered_trials
from stemtrial.evidence.reading import load
from stemtrial.evidence.vocabulary import Indication

Modules = Sequence[tuple[Node, str]]
Links = Mapping[str, Mapping[str, groups.Link]]


def import_record(
    file: str | Path,
    out: str | Path,
    *,
    arms: Mapping[str, str] | None = None,
    indication: str | None = None,
) -> Imported:
    """Write the rows of a saved registry record into a folder, for review.

    Parameters
    ----------
    file
        One study as JSON, in the shape of version 2 of the ClinicalTrials.gov API.
    out
        A new folder, or one that an earlier import made; its rows stay.
    arms
        For groups whose title fits no arm or several: the ``arm_id`` of each group title.
    indication
        For records whose conditions do not say it.

    Returns
    -------
    Imported
        What was taken in, what waits for review and what could not be mapped.

    Raises
    ------
    InputError
        If the file is no such record, an option names nothing in it, or ``out`` is another kind of folder.
        Nothing is written then.
    """
    file = Path(file)
    raw = read_bytes(file)
    record = check_shape(parse(raw, str(file)), str(file))
    if indication is not None and indication not in get_args(Indication):
        allowed = ", ".join(get_args(Indication))
        raise InputError(Problem("is not known", field="--indication", value=indication, allowed=allowed))
    ledger = Ledger(printable(file))
    notes, linked = _draft(record, ledger, arms or {}, indication)
    account_for_the_rest(record, ledger, linked)
    version = record.at("derivedSection.miscInfoModule.versionHolder").text
    source = Source(
        file=printable(file),
        raw=raw,
        kind="ClinicalTrials.gov study record",
        about={
            "nct_id": record.at("protocolSection.identificationModule.nctId").text,
            "api_version": "2 (recognised by shape; the record carries none)",
            "data_version": version or None,
        },
    )
    return take_in(ledger, source, Path(out), notes)


def _draft(
    record: Node, ledger: Ledger, said: Mapping[str, str], indication: str | None
) -> tuple[list[str], Links]:
    """Draft every row of the record; return what the user should know, and which groups are which arms."""
    number = record.at("protocolSection.identificationModule.nctId").text
    trial_id = number.lower()
    arms = arm_groups(record)
    labels = {arm.arm_id: arm.label for arm in arms}
    answers = _answers(said, labels, record)
    modules = _modules(record)
    linked = {module.path: groups.link(module[name].items, labels, answers) for module, name in modules}
    has_cells = any("cell_therapy" in arm.kinds for arm in arms)
    open_arms = not arms or any(len(arm.kinds) != 1 for arm in arms)
    draft_reference(record, ledger, trial_id)
    trial = draft_trial(
        record,
        ledger,
        trial_id,
        has_cells=None if open_arms and not has_cells else has_cells,
        indication=indication,
    )
    drafts: dict[str, Draft] = {}
    for arm in arms:
        own = [
            group
            for module, name in modules
            for group in module[name].items
            if (link := linked[module.path].get(group["id"].text)) and link.arm_id == arm.arm_id
        ]
        drafts[arm.arm_id] = draft_arm(arm, ledger, trial_id, own)
    _note_links(modules, linked, drafts, ledger)
    flow, baseline, events = (linked[module.path] for module, _ in modules[:3])
    put_patients(record, ledger, drafts, flow, baseline)
    draft_outcomes(record, ledger, trial_id, linked)
    choose_primary(ledger)
    months = trial.cells.get("follow_up_months", "")
    draft_events(record, ledger, trial_id, events, flow, months)
    return list(_notes(record, trial, linked)), linked


def _answers(said: Mapping[str, str], labels: Mapping[str, str], record: Node) -> dict[str, str]:
    """Check what the user said about groups: the arm must be one, and a group must have the title."""
    titles = {
        groups.plain(group["title"].text) for module, name in _modules(record) for group in module[name].items
    }
    problems = [
        Problem("is no arm of the record", field="--arm", value=f"{title}={arm}", allowed=", ".join(labels))
        for title, arm in said.items()
        if arm not in labels
    ]
    problems += [
        Problem("is no title of a group of results", field="--arm", value=f"{title}={arm}")
        for title, arm in said.items()
        if groups.plain(title) not in titles
    ]
    if problems:
        raise InputError(*problems)
    return {groups.plain(title): arm for title, arm in said.items()}


def _modules(record: Node) -> Modules:
    """Return every part of the results that lists groups, with the name of the list; outcome measures last."""
    results = record["resultsSection"]
    return [
        (results["participantFlowModule"], "groups"),
        (results["baselineCharacteristicsModule"], "groups"),
        (results["adverseEventsModule"], "eventGroups"),
        *((measure, "groups") for measure in results.at("outcomeMeasuresModule.outcomeMeasures").items),
    ]


def _note_links(modules: Modules, linked: Links, arms: Mapping[str, Draft], ledger: Ledger) -> None:
    for module, name in modules:
        for group in module[name].items:
            link = linked[module.path].get(group["id"].text)
            if link is None:
                ledger.refuse(group["title"], "a group without an id")
            elif link.arm_id is None:
                ledger.refuse(group["title"], link.reason)
            else:
                ledger.link(group["title"], arms[link.arm_id], link.how, link.reason)


def _notes(record: Node, trial: Draft, linked: Links) -> Iterator[str]:
    """Yield what the user should know beyond the rows."""
    number = record.at("protocolSection.identificationModule.nctId").text
    if same := registered_trials(load()).get(number):
        yield f"{number} is the registry number of the shipped trial {same}; the two cannot be used together"
    results = record["resultsSection"]
    if not isinstance(results.value, dict) or not results.value:
        said = (
            "says it has results, but holds none"
            if record["hasResults"].value is True
            else "has no results yet"
        )
        yield f"the record {said}: only trial and arms were read"
    if "indication" in trial.problems:
        yield f"{trial.problems['indication']}; name the indication with --indication if it is one of the package"
    open_groups = sorted(
        {
            group["title"].text
            for module, name in _modules(record)
            for group in module[name].items
            if (link := linked[module.path].get(group["id"].text))
            and link.arm_id is None
            and groups.plain(group["title"].text) != "total"
        }
    )
    for title in open_groups:
        yield f"the group {title!r} was not linked to an arm; say which with --arm {title!r}=ARM_ID"
