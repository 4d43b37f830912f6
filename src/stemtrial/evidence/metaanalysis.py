"""A whole pairwise synthesis as one record: what entered, what did not and why, and every result of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stemtrial.errors import InputError, NotCredibleError, Problem
from stemtrial.evidence.contrasts import Contrast, Rules, contrasts, features
from stemtrial.evidence.groups import usable
from stemtrial.evidence.heterogeneity import Method, Test, critical
from stemtrial.evidence.influence import Influence, influence
from stemtrial.evidence.metareg import Regression, regress
from stemtrial.evidence.pairwise import Pooled, Prediction, pool
from stemtrial.evidence.schema import Trial
from stemtrial.evidence.scope import Scope, Stage, Within, label, within
from stemtrial.evidence.smallstudy import Egger, PetPeese, TrimAndFill, egger, pet_peese, trim_and_fill
from stemtrial.evidence.subgroups import Subgroups, subgroups
from stemtrial.evidence.tables import Evidence
from stemtrial.evidence.vocabulary import Construct
from stemtrial.scales import ImportantDifference, mcid

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

METHODS: Mapping[Method, str] = {
    "EE": "equal effects",
    "DL": "DerSimonian-Laird",
    "PM": "Paule-Mandel",
    "ML": "ML",
    "REML": "REML",
}
TESTS: Mapping[Test, str] = {
    "z": "normal interval",
    "t": "t interval",
    "knha": "Hartung-Knapp",
    "adhoc": "Hartung-Knapp, never narrower",
}
_SCORE: Mapping[str, str] = {"pain": "VAS", "function": "WOMAC_function"}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Statistical choices of a synthesis; see :func:`~stemtrial.evidence.pairwise.pool` and ``Rules``."""

    method: Method
    test: Test
    prediction: Prediction
    level: float
    rules: Rules


@dataclass(frozen=True)
class Study:
    """A trial (or treated arm): its contrast with normal interval, its weight in percent, its judgements."""

    label: str
    contrast: Contrast
    ci: tuple[float, float]
    weight: float
    risk_of_bias: str
    rob_source: str
    blinding: str
    randomised: bool

    @property
    def flags(self) -> tuple[str, ...]:
        """Every derivation behind the study, of the treated side, the control side and the contrast."""
        found: dict[str, list[str]] = {}
        for name, group in (("treated", self.contrast.treated), ("control", self.contrast.control)):
            for flag in group.flags if group else ():
                found.setdefault(flag, []).append(name)
        of_sides = [flag if len(names) == 2 else f"{flag} ({names[0]})" for flag, names in found.items()]
        return (*of_sides, *self.contrast.flags)

    @property
    def imputed(self) -> bool:
        """Whether a standard deviation was imputed."""
        return any("SD imputed" in flag for flag in self.flags)


@dataclass(frozen=True)
class Variant:
    """The same question with one choice changed; ``pooled`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    pooled: Pooled | None
    status: str


@dataclass(frozen=True)
class Moderated:
    """Meta-regression on one feature; ``regression`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    regression: Regression | None
    status: str


@dataclass(frozen=True)
class Grouped:
    """Subgroups by one feature, with one tau2 for all; ``result`` is ``None`` where ``status`` says why."""

    name: str
    k: int
    result: Subgroups | None
    status: str


@dataclass(frozen=True)
class SmallStudies:
    """Small-study diagnostics; each holds its own status, and none is computed below ten studies."""

    egger: Egger
    trim_and_fill: TrimAndFill
    pet_peese: PetPeese
    status: Literal["ok", "too_few_studies"]


@dataclass(frozen=True)
class Diagnosed:
    """Case diagnostics; ``result`` is ``None`` where ``status`` says why."""

    result: Influence | None
    status: str


@dataclass(frozen=True)
class Rows:
    """Outcome rows of the compared trials, step by step: in the tables to used in a contrast."""

    of_the_outcome: int
    primary_scores: int
    in_window: int
    used: int


@dataclass(frozen=True)
class MetaAnalysis:
    """A pairwise synthesis.

    Attributes
    ----------
    scope, outcome, month, window, choices
        The question, and the choices made for it.
    evidence_hash
        Of the whole tables the trials were chosen from.
    studies, left_out
        What entered, in the order of the tables, and the compared trials that did not, each with a reason.
    without_scores
        Of those, the trials without a usable score of the outcome at any visit after treatment.
    stages, rows
        Trials left by each condition, and outcome rows used and left out.
    pooled
        The result by the method and test chosen.
    variants
        The same by the other methods, and without imputed SDs, trials at high risk, and so on.
    left_one_out, influence
        Result without each study in turn, empty for one study; case diagnostics.
    small_studies, moderators, subgroups
        Further analyses, each with a status.
    mcid
        Smallest important difference on 0-100, or ``None``.
    """

    scope: Scope
    outcome: str
    month: float
    window: tuple[float, float]
    choices: Choices
    evidence_hash: str
    studies: tuple[Study, ...]
    left_out: tuple[tuple[str, str], ...]
    without_scores: tuple[str, ...]
    stages: tuple[Stage, ...]
    rows: Rows
    pooled: Pooled
    variants: tuple[Variant, ...]
    left_one_out: tuple[Variant, ...]
    influence: Diagnosed
    small_studies: SmallStudies
    moderators: tuple[Moderated, ...]
    subgroups: tuple[Grouped, ...]
    mcid: ImportantDifference | None

    @property
    def y(self) -> tuple[float, ...]:
        """Effects, in the order of the studies."""
        return tuple(study.contrast.y for study in self.studies)

    @property
    def v(self) -> tuple[float, ...]:
        """Sampling variances, in the order of the studies."""
        return tuple(study.contrast.v for study in self.studies)


def analyse(
    evidence: Evidence,
    *,
    scope: Scope,
    outcome: str,
    month: float,
    window: tuple[float, float],
    choices: Choices,
    moderators: Sequence[str] = (),
    by: Sequence[str] = (),
) -> MetaAnalysis:
    """Select, contrast, pool and examine.

    Parameters
    ----------
    evidence
        The whole tables.
    scope, outcome, month, window
        Which trials and arms; construct; visit wanted with first and last month accepted for it.
    choices
        How to contrast and pool.
    moderators, by
        Features for meta-regressions, one at a time, and for subgroups: names of :data:`MODERATORS`.

    Raises
    ------
    InputError
        Unknown words, or nothing left: the message names the condition that emptied the selection.
    NotCredibleError
        The pooled result did not converge.
    """
    asked = [
        (field, name) for field, names in (("moderator", moderators), ("subgroup", by)) for name in names
    ]
    unknown = [(field, name) for field, name in asked if name not in MODERATORS]
    if unknown:
        allowed = ", ".join(MODERATORS)
        raise InputError(
            *(Problem("is not known", field=f, value=name, allowed=allowed) for f, name in unknown)
        )
    inside = within(evidence, scope)
    _require_scores(inside, outcome, month, window)
    found = contrasts(
        inside.evidence,
        indication=scope.indication,
        comparator=scope.comparator,
        construct=outcome,
        month=month,
        window=window,
        rules=choices.rules,
        intervention=scope.intervention,
    )
    pooled = pool(
        found.y,
        found.v,
        method=choices.method,
        test=choices.test,
        level=choices.level,
        prediction=choices.prediction,
    )
    studies = tuple(
        _study(inside.evidence.trial(c.trial_id), c, weight, choices.level, found.found)
        for c, weight in zip(found.found, pooled.weights, strict=True)
    )
    k = len(studies)
    used = Stage("usable contrast", tuple(dict.fromkeys(c.trial_id for c in found.found)))
    return MetaAnalysis(
        scope=scope,
        outcome=outcome,
        month=month,
        window=window,
        choices=choices,
        evidence_hash=evidence.hash,
        studies=studies,
        left_out=found.left_out,
        without_scores=_without_scores(inside, outcome),
        stages=(*inside.stages, used),
        rows=_rows(inside.evidence, inside.stages[-1].trials, outcome, window, studies),
        pooled=pooled,
        variants=tuple(_variants(studies, choices)) if k > 1 else (),
        left_one_out=_without_each(studies, choices) if k > 1 else (),
        influence=_influence(found.y, found.v, choices),
        small_studies=_small_studies(found.y, found.v, choices),
        moderators=tuple(_moderated(inside.evidence, name, found.found, choices) for name in moderators),
        subgroups=tuple(_grouped(inside.evidence, name, found.found, choices) for name in by),
        mcid=important_difference(scope.indication, outcome),
    )


def _require_scores(inside: Within, outcome: str, month: float, window: tuple[float, float]) -> None:
    """Raise unless a compared trial has a primary score of the outcome in the window."""
    if outcome not in get_args(Construct):
        allowed = ", ".join(get_args(Construct))
        raise InputError(Problem("is not known", field="outcome", value=outcome, allowed=allowed))
    trials = inside.stages[-1].trials
    rows = [r for trial in trials for r in inside.evidence.outcomes_of(trial) if usable(r, outcome)]
    times = sorted({row.time_months for row in rows if row.time_months > 0})
    if not any(window[0] <= time <= window[1] for time in times):
        field, value = (
            ("months", f"{month:g} within {window[0]:g} to {window[1]:g}") if times else ("outcome", outcome)
        )
        found = f"visits at months {', '.join(f'{time:g}' for time in times)}" if times else None
        raise InputError(
            Problem(
                f"leaves nothing of the {len(trials)} trials before it",
                field=field,
                value=value,
                allowed=found,
                hint=None if times else "none of them has a primary score of it",
            )
        )


def _without_scores(inside: Within, outcome: str) -> tuple[str, ...]:
    return tuple(
        trial
        for trial in inside.stages[-1].trials
        if not any(row.time_months > 0 and usable(row, outcome) for row in inside.evidence.outcomes_of(trial))
    )


def important_difference(indication: str, outcome: str) -> ImportantDifference | None:
    """Return the smallest important difference between groups, or else within a person, on 0-100."""
    spine = indication in ("disc_degeneration", "chronic_low_back_pain")
    score = "ODI" if spine and outcome == "function" else _SCORE.get(outcome)
    if score is None:
        return None
    return mcid(score, indication, "between_group") or mcid(score, indication, "within_person")


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


def _variants(studies: tuple[Study, ...], choices: Choices) -> Iterator[Variant]:
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


def _without_each(studies: tuple[Study, ...], choices: Choices) -> tuple[Variant, ...]:
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


def _study(
    trial: Trial, contrast: Contrast, weight: float, level: float, all_of_them: tuple[Contrast, ...]
) -> Study:
    split = sum(other.trial_id == contrast.trial_id for other in all_of_them) > 1
    arm = f", {' + '.join(contrast.arms)}" if split else ""
    half = critical(level, None) * contrast.v**0.5
    return Study(
        label=label(trial) + arm,
        contrast=contrast,
        ci=(contrast.y - half, contrast.y + half),
        weight=weight,
        risk_of_bias=trial.risk_of_bias,
        rob_source=trial.rob_source,
        blinding=trial.blinding,
        randomised=trial.design == "rct",
    )


def _rows(
    evidence: Evidence,
    trials: Sequence[str],
    outcome: str,
    window: tuple[float, float],
    studies: tuple[Study, ...],
) -> Rows:
    inside = {(arm.trial_id, arm.arm_id) for trial in trials for arm in evidence.arms_of(trial)}
    rows = [r for r in evidence.outcomes if (r.trial_id, r.arm_id) in inside and r.construct == outcome]
    scores = [row for row in rows if usable(row, outcome)]
    timely = [row for row in scores if window[0] <= row.time_months <= window[1]]
    arms: dict[tuple[str, str], int] = {}
    for study in studies:
        trial, groups = study.contrast.trial_id, (study.contrast.treated, study.contrast.control)
        if study.contrast.treated is None:
            arms[trial, "difference"] = 1
        for group in groups:
            for arm in group.arms if group else ():
                arms[trial, arm] = 1 if group is None or group.baseline_month is None else 2
    return Rows(len(rows), len(scores), len(timely), sum(arms.values()))


def _influence(y: tuple[float, ...], v: tuple[float, ...], choices: Choices) -> Diagnosed:
    if len(y) < 3:
        return Diagnosed(None, "not assessed: fewer than 3 studies")
    try:
        return Diagnosed(influence(y, v, method=choices.method, test=choices.test), "ok")
    except NotCredibleError as error:
        return Diagnosed(None, f"not assessed: {error}")


def _small_studies(y: tuple[float, ...], v: tuple[float, ...], choices: Choices) -> SmallStudies:
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


def _moderated(evidence: Evidence, name: str, found: tuple[Contrast, ...], choices: Choices) -> Moderated:
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


def _grouped(evidence: Evidence, name: str, found: tuple[Contrast, ...], choices: Choices) -> Grouped:
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
