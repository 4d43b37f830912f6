"""What a valid trial file may ask for that this version cannot simulate or analyse."""

from collections.abc import Iterator

from stemtrial.errors import Problem
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
            "cannot be simulated: the disc variant of the model has not been fitted to disc trials",
            field="indication",
            value=trial.indication,
            allowed="knee_oa",
        )
    if (analysis := trial.question.analysis) == "bayesian":
        what = "cannot be simulated in this version"
        yield Problem(what, field="question.analysis", value=analysis, allowed="ancova, mmrm")
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
