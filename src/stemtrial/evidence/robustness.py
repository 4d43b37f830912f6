"""How far a pairwise synthesis moves: other methods, fewer studies, small studies, moderators, subgroups."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from stemtrial.errors import InputError, NotCredibleError
from stemtrial.evidence.contrasts import Contrast, features
from stemtrial.evidence.heterogeneity import Method, Test
from stemtrial.evidence.influence import influence
from stemtrial.evidence.metarecord import (
    METHODS,
    TESTS,
    Choices,
    Diagnosed,
    Grouped,
    Moderated,
    SmallStudies,
    Study,
    Variant,
)
from stemtrial.evidence.metareg import regress
from stemtrial.evidence.pairwise import pool
from stemtrial.evidence.smallstudy import egger, pet_peese, trim_and_fill
from stemtrial.evidence.subgroups import subgroups
from stemtrial.evidence.tables import Evidence

MODERATORS: Mapping[str, str] = {
    "dose": "dose_million_cells",
    "source": "cell_source",
    "origin": "origin",
    "product": "product",
    "blinding": "blinding",
    "follow_up": "month",
    "injections": "n_injections",
    "risk_of_bias": "risk_of_bias",
    "design": "design",
    "funding": "funding",
}
"""What a meta-regression or a subgroup may be asked for, and its name among the features of a contrast.

The dose enters a meta-regression as its logarithm to base 10: a slope is per tenfold dose.
"""

ENOUGH_STUDIES = 10
"""Studies for one moderator below which a meta-regression is exploratory (Cochrane Handbook, 10.11.4)."""


def _variant(name: str, studies: Sequence[Study], choices: Choices, method: Method, test: Test) -> Variant:
    """Pool some of the studies again; the status says what keeps it from being done."""
    if not studies:
        return Variant(name, 0, None, "no study is left")
    y, v = ([getattr(study.contrast, field) for study in studies] for field in ("y", "v"))
    try:
        again = pool(y, v, method=method, test=test, level=choices.level, prediction=choices.prediction)
    except (InputError, NotCredibleError) as error:
        return Variant(name, len(studies), None, str(error))
    return Variant(name, len(studies), again, again.status)


def variants(studies: tuple[Study, ...], choices: Choices) -> Iterator[Variant]:
    """Yield the result by other methods, then on narrower sets of studies where these differ from all."""
    tests: tuple[tuple[Method, Test], ...] = (
        ("EE", "z"),
        ("DL", "z"),
        ("PM", "knha"),
        ("REML", "z"),
        ("REML", "knha"),
    )
    for method, test in tests:
        if (method, test) != (choices.method, choices.test):
            yield _variant(f"{METHODS[method]}, {TESTS[test]}", studies, choices, method, test)
    sets: tuple[tuple[str, Callable[[Study], bool]], ...] = (
        ("without imputed standard deviations", lambda s: not s.imputed),
        ("without high risk of bias", lambda s: s.risk_of_bias != "high"),
        ("low risk of bias only", lambda s: s.risk_of_bias == "low"),
        ("double-blind only", lambda s: s.blinding == "double"),
        ("randomised only", lambda s: s.randomised),
        ("without self-controlled trials", lambda s: s.contrast.design != "paired"),
    )
    for name, keep in sets:
        kept = [study for study in studies if keep(study)]
        if len(kept) < len(studies):
            yield _variant(name, kept, choices, choices.method, choices.test)


def without_each(studies: tuple[Study, ...], choices: Choices) -> tuple[Variant, ...]:
    """Return the result without each study in turn."""
    return tuple(
        _variant(
            f"without {study.label}",
            [other for other in studies if other is not study],
            choices,
            choices.method,
            choices.test,
        )
        for study in studies
    )


def case_diagnostics(y: tuple[float, ...], v: tuple[float, ...], choices: Choices) -> Diagnosed:
    """Return case diagnostics, or why they are not assessed."""
    if len(y) < 3:
        return Diagnosed(None, "not assessed: fewer than 3 studies")
    try:
        return Diagnosed(influence(y, v, method=choices.method, test=choices.test), "ok")
    except NotCredibleError as error:
        return Diagnosed(None, f"not assessed: {error}")


def small_studies(y: tuple[float, ...], v: tuple[float, ...], choices: Choices) -> SmallStudies:
    """Return small-study diagnostics."""
    test = egger(y, v, model="lm", level=choices.level)
    filled = trim_and_fill(
        y, v, estimator="L0", method=choices.method, test=choices.test, level=choices.level
    )
    return SmallStudies(test, filled, pet_peese(y, v, level=choices.level), test.status)


def _known(
    evidence: Evidence, name: str, found: tuple[Contrast, ...]
) -> tuple[list[Contrast], list[str | float], str]:
    """Return the contrasts that have the feature, its values, and words for those that have not."""
    pairs = [(contrast, features(evidence, contrast)[MODERATORS[name]]) for contrast in found]
    known = [(contrast, value) for contrast, value in pairs if value is not None]
    missing = len(found) - len(known)
    words = f"; {missing} without a value left out" if missing else ""
    return [contrast for contrast, _ in known], [value for _, value in known], words


def moderated(evidence: Evidence, name: str, found: tuple[Contrast, ...], choices: Choices) -> Moderated:
    """Return the meta-regression on one feature, or why it is not assessed."""
    known, values, missing = _known(evidence, name, found)
    if len(known) < 3:
        return Moderated(name, len(known), None, f"not assessed: {len(known)} studies give a value{missing}")
    column = np.log10(np.array(values, dtype=float)) if name == "dose" else np.array(values)
    if len(set(values)) < 2:
        return Moderated(name, len(known), None, f"not assessed: the same in all studies{missing}")
    try:
        fitted = regress(
            [contrast.y for contrast in known],
            [contrast.v for contrast in known],
            {"log10 dose" if name == "dose" else name: column},
            method=choices.method,
            test=choices.test,
            level=choices.level,
        )
    except (InputError, NotCredibleError) as error:
        return Moderated(name, len(known), None, f"not assessed: {error}{missing}")
    few = f"exploratory: fewer than {ENOUGH_STUDIES} studies" if len(known) < ENOUGH_STUDIES else "ok"
    return Moderated(name, len(known), fitted, few + missing)


def grouped(evidence: Evidence, name: str, found: tuple[Contrast, ...], choices: Choices) -> Grouped:
    """Return the subgroups by one feature, or why they are not assessed."""
    known, values, missing = _known(evidence, name, found)
    if len(set(values)) < 2:
        return Grouped(name, len(known), None, f"not assessed: fewer than two subgroups{missing}")
    try:
        result = subgroups(
            [contrast.y for contrast in known],
            [contrast.v for contrast in known],
            [f"{value:g}" if isinstance(value, float) else str(value) for value in values],
            tau2="common",
            method=choices.method,
            test=choices.test,
            level=choices.level,
        )
    except (InputError, NotCredibleError) as error:
        return Grouped(name, len(known), None, f"not assessed: {error}{missing}")
    return Grouped(name, len(known), result, "ok" + missing)
