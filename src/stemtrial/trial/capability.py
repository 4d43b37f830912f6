"""What a valid trial file may ask for that this version cannot simulate or analyse."""

from collections.abc import Iterator
from dataclasses import replace

from stemtrial.calibration.variants import NOT_RELEASED
from stemtrial.errors import InputError, Problem
from stemtrial.mechanism.treatments import PRP_HAS_NO_INPUT, Cells
from stemtrial.trial.protocol import Trial


def unavailable(trial: Trial) -> Iterator[Problem]:
    """Yield what keeps a valid trial from being simulated; nothing for one that can be.

    Examples
    --------
    >>> trial = Trial.read("examples/knee_oa_cells_vs_saline.yaml")  # doctest: +SKIP
    >>> list(unavailable(trial))  # doctest: +SKIP
    []
    """
    if trial.indication != "knee_oa":
        yield Problem(
            f"cannot be simulated: the model of it {NOT_RELEASED[trial.indication]}",
            field="indication",
            value=trial.indication,
            allowed="knee_oa",
            hint="see the limits in the documentation; `stemtrial fit --arms` takes trials of your own",
        )
    if (analysis := trial.question.analysis) == "bayesian":
        what = "cannot be simulated in this version"
        yield Problem(what, field="question.analysis", value=analysis, allowed="ancova, mmrm")
    yield from _too_few(trial)
    yield from _no_boundaries(trial)
    secondary = trial.question.secondary
    if secondary is not None and secondary.time_to_loss and len(trial.visits_months) < 2:
        yield Problem(
            "needs two visits: a response is lost between them",
            field="question.secondary.time_to_loss",
            hint="add a visit, or leave it out",
        )
    for arm in trial.ordered_arms:
        for index, treatment in enumerate(trial.arms[arm].treatments):
            if treatment.name == "prp":
                yield Problem(
                    PRP_HAS_NO_INPUT,
                    field=f"arms.{arm}.treatments.{index}.prp",
                    hint="use another comparator; the synthesis of the evidence does cover it",
                )
        origins = {t.origin for t in trial.arms[arm].treatments if isinstance(t, Cells)}
        if len(origins) > 1:
            yield Problem(
                "mixes autologous and allogeneic cells",
                field=f"arms.{arm}.treatments",
                hint="give each origin an arm of its own",
            )


def _too_few(trial: Trial) -> Iterator[Problem]:
    """Yield comparisons whose first analysis has no more patients than unknowns."""
    question = trial.question
    unknown = 3 + (len(trial.visits_months) if question.analysis == "mmrm" else 0)
    if trial.randomisation is not None and trial.randomisation.adjusted:
        unknown += trial.strata - 1
    first = question.interim.at[0] if question.interim else 1.0
    for pair in question.comparisons:
        seen = [round(first * trial.arms[name].n) for name in pair]
        if min(seen) < 2 or sum(seen) <= unknown:
            yield Problem(
                f"has too few patients: {seen[0]} of {pair[0]} and {seen[1]} of {pair[1]}",
                field="question.interim.at" if question.interim else "question.analysis",
                value=question.interim.at[0] if question.interim else question.analysis,
                allowed=f"two of each arm and more than {unknown} in all",
                hint="enrol more, or look later" if question.interim else "enrol more",
            )


def _no_boundaries(trial: Trial) -> Iterator[Problem]:
    """Yield what keeps the rules of the looks from making boundaries."""
    if trial.question.interim is None:
        return
    from stemtrial.trial.looks import Looks
    from stemtrial.trial.sharing import Sharing

    try:
        _ = Looks.of(trial.question).bounds
        if (sharing := Sharing.of(trial.question)) is not None:
            _ = sharing.critical
    except InputError as error:
        for problem in error.problems:
            yield replace(problem, field=f"question.interim.{problem.field}")
