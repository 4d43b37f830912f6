"""Whether a JSON is a study record of the ClinicalTrials.gov API, and what became of every value in it."""

import re
from collections.abc import Mapping
from typing import Any

from stemtrial.errors import InputError, Problem
from stemtrial.evidence.imports.groups import Link
from stemtrial.evidence.imports.ledger import Ledger
from stemtrial.evidence.imports.node import Node, leaves

_HINT = "save one study: /api/v2/studies/NCT…?format=json"
_CONTEXT = "says how the numbers beside it are to be read"
_MEASURED = re.compile(r"\.measurements\[\d+\]\.(?:value|spread|lowerLimit|upperLimit)$")
_REASONS = (
    (r"\.groupId$|[gG]roups\[\d+\]\.id$", "read", "joins a number to its group"),
    (r"\.analyses\[", "not mapped", "a comparison between groups; the tables hold arms"),
    (
        r"^protocolSection\.eligibilityModule\.",
        "not mapped",
        "eligibility has no column in the tables of a trial",
    ),
    (r"\.referencesModule\.", "not mapped", "a publication of the trial; only the record was read"),
    (r"\.outcomesModule\.", "not mapped", "planned; the tables hold results"),
    (r"[gG]roups\[\d+\]\.description$", "not mapped", "names no dose, cells or number of injections"),
    (r"\.(?:interventionNames|armGroupLabels)\[\d+\]$", "read", "joins an intervention to its arms"),
    (r"\.numEvents$", "not mapped", "the tables count participants, not events"),
    (
        r"\.denoms\[\d+\]\.counts\[\d+\]\.value$",
        "not mapped",
        "not the number of participants behind a row that was taken",
    ),
    (
        r"^resultsSection\.(?:baseline|outcomeMeasures|adverseEvents).*\."
        r"(?:paramType|dispersionType|unitOfMeasure|units|type|reportingStatus|frequencyThreshold|comment)$",
        "read",
        _CONTEXT,
    ),
    (r"^resultsSection\..*(?:classes|categories)\[\d+\]\.title$", "read", _CONTEXT),
    (r"\.periods\[\d+\]\.(?:title|milestones\[\d+\]\.type)$", "read", _CONTEXT),
)


def check_shape(record: dict[str, Any], file: str) -> Node:
    """Return the record, if it is one study of API version 2 with a registry number.

    Raises
    ------
    InputError
        For records of another API version or format, lists of studies, and records without a number.
    """
    what = None
    version = str(record.get("apiVersion", record.get("APIVrs", "2")))
    if not version.startswith("2"):
        what = f"is of API version {version[:20]}"
    elif "protocolSection" in record:
        number = Node(record, "").at("protocolSection.identificationModule.nctId").text
        if re.fullmatch(r"NCT\d{8}", number):
            return Node(record, "")
        place = "protocolSection.identificationModule.nctId"
        raise InputError(
            Problem(
                "is no registry number", file=file, field=place, value=number[:40], allowed="NCT and 8 digits"
            )
        )
    elif "FullStudiesResponse" in record or "Study" in record or "FullStudy" in record:
        what = "is of the former API (version 1)"
    elif "studies" in record:
        what = "is a list of studies, not one record"
    elif "resourceType" in record:
        what = "is a FHIR resource"
    elif "apiVersion" in record or "dataTimestamp" in record:
        what = "is the answer of /version, not a study"
    else:
        what = "is no study record of the ClinicalTrials.gov API: protocolSection is missing"
    raise InputError(Problem(what, file=file, allowed="one study of API version 2", hint=_HINT))


def account_for_the_rest(record: Node, ledger: Ledger, linked: Mapping[str, Mapping[str, Link]]) -> None:
    """Note every value of the record that no rule has taken, so that the mapping names all of them.

    Parameters
    ----------
    linked
        The links of the groups, by the path of the module or outcome measure that lists them.
    """
    named = ledger.accounted()
    unlinked = _of_groups_without_arm(record, linked)
    for leaf in leaves(record):
        if leaf.path in named:
            continue
        if (reason := unlinked.get(leaf.path.rpartition(".")[0])) and not leaf.path.endswith(".groupId"):
            ledger.refuse(leaf, reason)
            continue
        if _MEASURED.search(leaf.path) and leaf.number is None:
            ledger.refuse(leaf, "not a number")
            continue
        for pattern, how, reason in _REASONS:
            if re.search(pattern, leaf.path):
                if how == "read":
                    ledger.joined(leaf, reason)
                else:
                    ledger.refuse(leaf, reason)
                break
        else:
            ledger.refuse(leaf, "no column of the evidence tables holds this")


def _of_groups_without_arm(record: Node, linked: Mapping[str, Mapping[str, Link]]) -> dict[str, str]:
    """Return, by the path of the entry, why its numbers belong to no arm."""
    found = {}
    for module, links in linked.items():
        for leaf in leaves(record.at(module) if "[" not in module else _outcome(record, module)):
            link = links.get(leaf.text) if leaf.path.endswith(".groupId") else None
            if link is not None and link.arm_id is None:
                found[leaf.path.rpartition(".")[0]] = link.reason
    return found


def _outcome(record: Node, path: str) -> Node:
    measures = record.at("resultsSection.outcomeMeasuresModule.outcomeMeasures").items
    return next(measure for measure in measures if measure.path == path)
