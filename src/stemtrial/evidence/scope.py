"""The scope of a synthesis: which trials and arms may enter, and how many each condition leaves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import get_args

from stemtrial.errors import InputError, Problem
from stemtrial.evidence import vocabulary as v
from stemtrial.evidence.schema import Arm, Trial
from stemtrial.evidence.selection import Selection
from stemtrial.evidence.tables import Evidence

RISK_LETTERS = {"low": "L", "some": "S", "high": "H", "unclear": "U"}
"""Letter of each judgement of the risk of bias."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Conditions on trials and treated arms; of several words of one condition any will do.

    ``comparator`` empty means any arm without the intervention. ``product``, ``origin`` and ``source``
    describe the treated arms; ``exclude_high_risk`` leaves out trials at high risk of bias.

    Raises
    ------
    InputError
        A word that is not in the vocabulary.
    """

    indication: str
    comparator: tuple[str, ...]
    intervention: str = "cell_therapy"
    product: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    blinding: tuple[str, ...] = ()
    exclude_high_risk: bool = False

    def __post_init__(self) -> None:
        Selection(
            indication=self.indication,
            intervention=self.intervention,
            comparator=self.comparator,
            product=self.product,
            origin=self.origin,
            blinding=self.blinding,
        )
        unknown = [word for word in self.source if word not in get_args(v.CellSource)]
        if unknown:
            allowed = ", ".join(get_args(v.CellSource))
            raise InputError(
                *(Problem("is not known", field="source", value=w, allowed=allowed) for w in unknown)
            )


@dataclass(frozen=True)
class Stage:
    """What one condition left: its words, and the trials that met it and all before it."""

    condition: str
    trials: tuple[str, ...]


@dataclass(frozen=True)
class Within:
    """The part of the evidence inside a scope.

    ``evidence`` keeps every trial and outcome row (standard deviations are imputed from all of them) but
    only the arms inside; ``stages`` counts the trials condition by condition.
    """

    evidence: Evidence
    stages: tuple[Stage, ...]


def within(evidence: Evidence, scope: Scope) -> Within:
    """Apply the conditions one by one.

    Raises
    ------
    InputError
        Nothing is left; the message names the condition that left nothing, and what it could have kept.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> found = within(load(), Scope(indication="knee_oa", comparator=("prp",), blinding=("open",)))
    >>> [(stage.condition, len(stage.trials)) for stage in found.stages][:2]
    [('in the tables', 92), ('indication knee_oa', 55)]
    """
    arms = {trial.trial_id: evidence.arms_of(trial.trial_id) for trial in evidence.trials}
    trials = list(evidence.trials)
    stages = [Stage("in the tables", tuple(arms))]

    def narrow(
        field: str, value: str, keep: Callable[[Trial], bool], words: Callable[[Trial], set[str]]
    ) -> None:
        nonlocal trials
        left = [trial for trial in trials if keep(trial)]
        if not left:
            usable = sorted({word for trial in trials for word in words(trial)})
            raise InputError(
                Problem(
                    f"leaves nothing of the {len(trials)} trials before it",
                    field=field,
                    value=value,
                    allowed=", ".join(usable) or "no value of this filter",
                )
            )
        trials = left
        stages.append(Stage(f"{field} {value}".strip(), tuple(trial.trial_id for trial in trials)))

    def treated(trial: Trial) -> list[Arm]:
        return [arm for arm in arms[trial.trial_id] if arm.intervention == scope.intervention]

    def controls(trial: Trial) -> list[Arm]:
        wanted = scope.comparator or tuple(
            {a.intervention for a in arms[trial.trial_id]} - {scope.intervention}
        )
        return [arm for arm in arms[trial.trial_id] if arm.intervention in wanted]

    def others(trial: Trial) -> set[str]:
        return {str(arm.intervention) for arm in arms[trial.trial_id]} - {scope.intervention}

    narrow(
        "indication", scope.indication, lambda t: t.indication == scope.indication, lambda t: {t.indication}
    )
    narrow("intervention", scope.intervention, lambda t: bool(treated(t)), lambda t: others(t))
    for field, column in (("product", "product"), ("origin", "origin"), ("source", "cell_source")):
        words = getattr(scope, field)
        if not words:
            continue
        before = arms
        arms = {
            name: tuple(
                arm for arm in of if arm.intervention != scope.intervention or getattr(arm, column) in words
            )
            for name, of in before.items()
        }
        narrow(
            field,
            " or ".join(words),
            lambda t: bool(treated(t)),
            lambda t, was=before, column=column: {  # type: ignore[misc]
                str(getattr(arm, column))
                for arm in was[t.trial_id]
                if arm.intervention == scope.intervention and getattr(arm, column)
            },
        )
    narrow(
        "comparator",
        " or ".join(scope.comparator) or "of any kind",
        lambda t: bool(controls(t)),
        lambda t: others(t),
    )
    if scope.blinding:
        narrow(
            "blinding",
            " or ".join(scope.blinding),
            lambda t: t.blinding in scope.blinding,
            lambda t: {t.blinding},
        )
    if scope.exclude_high_risk:
        narrow(
            "risk of bias",
            "other than high",
            lambda t: t.risk_of_bias != "high",
            lambda t: {"no trial below high risk"},
        )
    inside = {trial.trial_id for trial in trials}
    kept = tuple(
        arm
        for trial in evidence.trials
        if trial.trial_id in inside
        for arm in arms[trial.trial_id]
        if arm.intervention == scope.intervention or arm in controls(trial)
    )
    return Within(replace(evidence, arms=kept), tuple(stages))


def judged(evidence: Evidence, judgements: dict[str, str]) -> Evidence:
    """Return the evidence with the user's own judgements of the risk of bias in place of the shipped ones.

    Parameters
    ----------
    judgements
        ``low``, ``some``, ``high`` or ``unclear`` by ``trial_id``.

    Raises
    ------
    InputError
        Unknown trials or judgements.
    """
    for trial_id, risk in judgements.items():
        evidence.trial(trial_id)
        if risk not in RISK_LETTERS:
            raise InputError(
                Problem(
                    "is not known",
                    field=f"risk of bias of {trial_id}",
                    value=risk,
                    allowed=", ".join(RISK_LETTERS),
                )
            )
    return replace(
        evidence,
        trials=tuple(
            replace(t, risk_of_bias=judgements[t.trial_id], rob_source="user")  # type: ignore[arg-type]
            if t.trial_id in judgements
            else t
            for t in evidence.trials
        ),
    )


def label(trial: Trial) -> str:
    """Return author and year of a trial as a forest plot prints them; a trial of the user is marked as theirs.

    Examples
    --------
    >>> from stemtrial.evidence import load
    >>> label(load().trial("lamoespinosa_2016"))
    'Lamo-Espinosa 2016'
    """
    mark = " (yours)" if trial.provenance == "user" else ""
    stem, _, year = trial.trial_id.partition("_")
    for end in range(len(trial.citation) + 1):
        if "".join(c for c in trial.citation[:end].lower() if c.isalnum()) == stem:
            return f"{trial.citation[:end]} {year.replace('_', ' ')}".strip() + mark
    return trial.trial_id.replace("_", " ").capitalize() + mark


def of_the_user(evidence: Evidence, trials: Iterable[str]) -> tuple[str, ...]:
    """Return those of some trials that are the user's."""
    return tuple(name for name in dict.fromkeys(trials) if evidence.trial(name).provenance == "user")
