"""The tables and short texts of a claim, the same on its page and on the terminal."""

from collections.abc import Sequence

from stemtrial.claims.assessing import Assessment, PartResult
from stemtrial.claims.claim import Part
from stemtrial.claims.estimating import Estimate
from stemtrial.claims.nexttrial import SIZES, Change
from stemtrial.claims.rule import Judged
from stemtrial.claims.sensitivity import Variant
from stemtrial.claims.sentences import cells_words, comparator_words, outcome_words
from stemtrial.claims.virtual import ModelView
from stemtrial.report.evidence_words import heading, words
from stemtrial.report.figure import Table
from stemtrial.report.trafficlight import NAMES
from stemtrial.report.wording import MINUS, interval, number

_DIGITS = {"marker": 2, "response_spread": 2, "protocol_spread": 0}
_UNITS = {
    "difference": "points",
    "marker": "SD",
    "events": "per 1,000",
    "durability": "points beyond the share",
    "response_spread": "times",
    "protocol_spread": "%",
}


def digits(part: Part) -> int:
    """Return how many decimals the numbers of a part are printed with."""
    return _DIGITS.get(part.kind, 1)


def probability_words(judged: Judged) -> str:
    """Print a probability, or the bounds of one that is not known exactly.

    Examples
    --------
    >>> from stemtrial.claims.rule import judge
    >>> probability_words(judge((0.9966, 0.9966), "low")), probability_words(judge((0.0, 0.834), "low"))
    ('>0.99', '0.00–0.83')
    """
    if judged.p == (0.0, 1.0):
        return "unknown"
    low, high = (_rounded(p) for p in judged.p)
    return low if low == high else f"{low}–{high}"


def _rounded(p: float) -> str:
    if 0.99 < p < 1:
        return ">0.99"
    return "<0.01" if 0 < p < 0.01 else f"{p:.2f}"


def estimate_words(result: PartResult) -> str:
    """Print the estimate of a part with its interval and unit, or why there is none."""
    found, part = result.found, result.part
    if not isinstance(found, Estimate):
        return f"none: {found.reason}"
    text = (
        f"{number(found.value, digits(part))} {_UNITS[part.kind]} ({interval(*found.interval, digits(part))})"
    )
    if found.share_left is not None:
        text += f"; share left {number(found.share_left, 2)}"
    return f"{text}; {found.k} {'study' if found.k == 1 else 'studies'}"


def model_words(view: ModelView) -> str:
    """Say what the virtual trials of a design found."""
    return (
        f"Model, beside the verdict only ({view.label}, {view.fingerprint[:12]}): in {view.replicates:,} virtual "
        f"trials of the design {view.design} the value is {number(view.value)} points (95 % from "
        f"{interval(*view.interval)}) and the part holds in {number(100 * view.share, 0)} %; seed {view.seed}."
    )


def estimand_table(part: Part) -> Table:
    """Return what a part asks, field by field."""
    rows = [
        ("Population", heading(words(part.population))),
        ("Cells", heading(cells_words(part.cells)) + (f", {_GIVEN[part.given]}" if part.given else "")),
        ("Against", heading(comparator_words(part))),
        ("Outcome", heading(outcome_words(part))),
        ("Months", _months(part)),
        ("Holds if", f"{part.holds} {plain_number(part.threshold)} {_threshold_unit(part)}"),
        ("Important difference", f"{plain_number(part.important)} {_important_unit(part)}"),
    ]
    if part.instruments:
        rows.insert(4, ("Instruments", ", ".join(part.instruments)))
    if part.indirect:
        rows.append(("Declared indirect in", ", ".join(flag.replace("_", " ") for flag in part.indirect)))
    return Table("What is asked", ("Item", "Value"), tuple(rows), keys=2)


_GIVEN = {"added": "added to the treatment held against", "instead": "instead of the treatment held against"}


def _months(part: Part) -> str:
    if part.kind == "events":
        return "longest follow-up that both sides report"
    first = f"{part.from_month:g} and " if part.from_month is not None else ""
    return f"{first}{part.month:g}, visits within ± {part.window:g}"


def _important_unit(part: Part) -> str:
    return "points" if part.kind == "durability" else _UNITS[part.kind]


def _threshold_unit(part: Part) -> str:
    return "× the earlier effect" if part.kind == "durability" else _UNITS[part.kind]


def studies_table(result: PartResult) -> Table:
    """Return the studies of a part with what each contributes."""
    part = result.part
    weights = result.found.weights if isinstance(result.found, Estimate) else ()
    rows = tuple(
        (
            datum.label,
            f"{datum.month:g}",
            *signed_cells(datum.control),
            *signed_cells(datum.treated),
            number(datum.y, 2 if digits(part) == 2 else 1),
            "" if datum.v is None else number(datum.v**0.5, 2 if digits(part) == 2 else 1),
            number(weights[place]) if weights else "",
            NAMES[datum.risk_of_bias],
            datum.blinding,
            "; ".join((*(() if datum.side == 1 else ("the other cells",)), *datum.flags)),
        )
        for place, datum in enumerate(result.body.data)
    )
    what = "events" if part.kind == "events" else "mean (SD)"
    columns = (
        "Study", "Month", "Control: n", what, "Cells: n", what, _CONTRIBUTION[part.kind], "SE", "Weight, %",
        "Risk of bias", "Blinding", "Derived",
    )  # fmt: skip
    return Table("Studies", columns, rows)


def signed_cells(printed: tuple[str, str]) -> tuple[str, str]:
    """Return the printed numbers of a side with true minus signs."""
    return printed[0], printed[1].replace("-", MINUS)


_CONTRIBUTION = {
    "difference": "Difference",
    "marker": "SMD",
    "events": "Per 1,000",
    "durability": "Late − share × early",
    "response_spread": "Log ratio of SDs",
    "protocol_spread": "Difference",
}


def sensitivity_table(found: Assessment) -> Table:
    """Return the verdict on a claim with each narrower set of studies."""
    rows = [("all studies", probability_words(found.judged), _level(found.judged), found.verdict)]
    rows += [
        (name, probability_words(judged), _level(judged), judged.verdict)
        for name, judged in found.sensitivity
    ]
    return Table(
        "Narrower sets of studies, in all parts at once",
        ("Studies", "P", "Certainty", "Verdict"),
        tuple(rows),
    )


def _level(judged: Judged) -> str:
    return judged.certainty.replace("_", " ")


def variant_table(result: PartResult) -> Table:
    """Return the estimate of a part with each narrower set of studies."""
    rows = tuple(_variant(result.part, variant) for variant in result.sensitivity)
    columns = ("Studies", "Status", "k", "Estimate (95 %)", "P", "Certainty", "Verdict")
    return Table("Narrower sets of studies", columns, rows, keys=2)


def _variant(part: Part, variant: Variant) -> tuple[str, ...]:
    found = variant.found
    name = heading(variant.name)
    if found is None:
        return name, variant.status, str(variant.k), "", "", "", ""
    text = f"{number(found.value, digits(part))} ({interval(*found.interval, digits(part))})"
    level = variant.certainty.replace("_", " ")
    return name, variant.status, str(variant.k), text, _rounded(found.p), level, variant.verdict


def change_table(changes: Sequence[Change], part: Part | None) -> Table:
    """Return the smallest further trial that would change a verdict, in either direction.

    Parameters
    ----------
    part
        The one part the changes are of; ``None`` for a claim of several, whose parts have units of their own.
    """
    rows = tuple(
        (
            heading(change.towards),
            change.reason,
            *((f"{plain_number(change.true_value)} {_threshold_unit(part)}",) if part else ()),
            f"none up to {SIZES[-1]:,}" if change.persons is None else f"{change.persons:,}",
            change.certainty.replace("_", " "),
        )
        for change in changes
    )
    columns = ("Verdict", "Remark", *(("If the truth is",) if part else ()), "Persons", "Certainty then")
    return Table("Smallest next trial that would change the verdict", columns, rows, keys=2)


def plain_number(value: float) -> str:
    """Print a number of the claim file without needless decimals."""
    return f"{value:g}".replace("-", MINUS)


def change_words(part: Part, change: Change) -> str:
    """Say how large a further trial must be to change the verdict on a part."""
    true = f"if the truth is {plain_number(change.true_value)} {_threshold_unit(part)}"
    if change.persons is None:
        return f"Would be {change.towards} by no single trial of up to {SIZES[-1]:,} persons, {true}: {change.reason}."
    return f"Would be {change.towards} by a trial of {change.persons:,} persons, {true}."
