"""The page of a fit and its validation: one self-contained HTML file.

The page takes one plain document, described field by field in :mod:`stemtrial.report.calibrationcontract`; its parts::

    title, label, indication, fingerprint, evidence_hash, model_version, seed, command, trials, arms, readings
    diagnostics       [{name, value, limit, met}]
    constants         [{symbol, meaning, unit, scale, prior: {median, low, high}, posterior: {...}, contraction}]
    predictive        [{trial_id, label, arms: [{arm_id, label, unit, months, q025, q25, q50, q75, q975,
                                                 observed: [{month, value, se}]}]}]
    held_out          {mechanism, scores: [...], differences: [...], pit: [{predictor, kind, values}]} or null
    simulation_based  {draws, ranks: {symbol: [...]}} or null
    structures        [{name, elpd, se, weight, worst_k}]
    credibility       Record.as_dict() of stemtrial.calibration.credibility, or null

What is empty or null was not checked, and the page says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stemtrial import __version__
from stemtrial.calibration.credibility import ITEMS, MISSING
from stemtrial.report import colours
from stemtrial.report.calibrationcontract import Fit, HeldOut, HeldOutScore, Structure, parse_fit
from stemtrial.report.calibrationfigures import contraction, predictive, ranks, transforms
from stemtrial.report.figure import Figure, Table
from stemtrial.report.page import linked
from stemtrial.report.templating import templates
from stemtrial.report.wording import interval, number, percent

HONEST = {0.5: (0.40, 0.60), 0.95: (0.90, 0.99)}
"""Coverage on trials left out that counts as honest with trials weighing equally, by nominal level."""


class Part(NamedTuple):
    """A section of the page; ``small`` sets its figure's panels close together."""

    key: str
    title: str
    text: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    figure: Figure | None = None
    small: bool = False


def render(document: Mapping[str, Any]) -> str:
    """Write the page; the same document gives the same text.

    Raises
    ------
    InputError
        If the document lacks a field or holds an impossible value.
    """
    fit = parse_fit(document)
    environment = templates()
    environment.filters["linked"] = linked
    return environment.get_template("calibration.html.j2").render(
        fit=fit,
        parts=parts(fit),
        findings=findings(fit),
        version=__version__,
        colour=colours,
        report={"calibrated": True},
    )


def findings(fit: Fit) -> tuple[str, ...]:
    """Say in a few sentences whether the fit converged and how its predictions held, with the numbers."""
    said = [
        f"{fit.label}: fitted to {fit.readings} published numbers of {fit.arms} arms in {fit.trials} trials.",
        _converged(fit),
    ]
    if fit.held_out is None:
        said.append("How well it predicts trials it has not seen is not available.")
        return tuple(said)
    for kind, words in (("arm", "arms"), ("contrast", "contrasts between arms")):
        own = _own(fit.held_out, kind)
        if own is None:
            continue
        shares = ", ".join(
            f"{percent(c.level)} intervals held {percent(x, 1)}"
            for c, x in zip(own.coverage, own.coverage_by_trial, strict=True)
        )
        by_rows, by_trials = honest(own)
        verdict = "honest by the limits set" if by_trials else "not honest by the limits set"
        rows = ", ".join(percent(c.share, 1) for c in own.coverage)
        but = "" if by_rows == by_trials else ", which alone would " + ("be" if by_rows else "not be")
        said.append(
            f"On trials left out ({words}, {own.rows} in {own.trials} trials), trials weighing equally, {shares}: "
            f"{verdict} (rows weighing equally {rows}{but}). {_against(fit.held_out, own)}"
        )
    return tuple(said)


def honest(score: HeldOutScore) -> tuple[bool, bool]:
    """Whether coverage lies within :data:`HONEST`, with rows and with trials weighing equally."""
    limits = [HONEST.get(c.level, (0.0, 1.0)) for c in score.coverage]
    rows = all(low <= c.share <= high for c, (low, high) in zip(score.coverage, limits, strict=True))
    trials = all(low <= x <= high for x, (low, high) in zip(score.coverage_by_trial, limits, strict=True))
    return rows, trials


def _converged(fit: Fit) -> str:
    if not fit.diagnostics:
        return "Diagnostics of the sampler are not available."
    failed = [d for d in fit.diagnostics if d.met is False]
    if failed:
        named = "; ".join(f"{d.name} {d.value} (limit {d.limit})" for d in failed)
        return f"The sampler did not converge, so nothing below can be relied on: {named}."
    return "All limits of the sampler's diagnostics are met."


def _own(held_out: HeldOut, kind: str) -> HeldOutScore | None:
    return next((s for s in held_out.scores if (s.predictor, s.kind) == (held_out.mechanism, kind)), None)


def _against(held_out: HeldOut, own: HeldOutScore) -> str:
    others = [s for s in held_out.scores if s.kind == own.kind and s.predictor != held_out.mechanism]
    if not others:
        return "No baseline was compared."
    best = min(others, key=lambda s: s.crps_by_trial)
    gap = own.crps_by_trial - best.crps_by_trial
    word = "better than" if gap < 0 else "as good as" if gap == 0 else "worse than"
    said = (
        f"Its CRPS of {number(own.crps_by_trial, 2)} points is {word} the {number(best.crps_by_trial, 2)} of the "
        f"better statistical baseline ({best.predictor})"
    )
    found = next(
        (d for d in held_out.differences
         if (d.predictor, d.against, d.kind) == (held_out.mechanism, best.predictor, own.kind)),
        None,
    )  # fmt: skip
    if found is None or found.se_by_trial is None:
        return f"{said}."
    low, high = found.q025_by_trial, found.q975_by_trial
    assert low is not None
    assert high is not None
    noise = ", within noise" if low <= 0 <= high else ""
    sure = f"95 % interval {interval(low, high, 2)}{noise}"
    return f"{said}: a difference of {_plus_minus(gap, found.se_by_trial)} ({sure})."


def _plus_minus(value: float, se: float | None) -> str:
    return number(value, 2) if se is None else f"{number(value, 2)} ± {number(se, 2)}"


def parts(fit: Fit) -> tuple[Part, ...]:
    """Return the sections in reading order; one that was not checked says so."""
    return (
        _diagnostics(fit),
        _constants(fit),
        _predictive(fit),
        _left_out(fit),
        _simulation_based(fit),
        _structures(fit.structures),
        _credibility(fit),
    )


def _absent(key: str, title: str) -> Part:
    return Part(key, title, (f"{MISSING[:1].upper()}{MISSING[1:]}: this check was not run.",))


def _diagnostics(fit: Fit) -> Part:
    title = "Did the sampler converge?"
    if not fit.diagnostics:
        return _absent("diagnostics", title)
    verdict = {True: "met", False: "not met", None: ""}
    rows = tuple((d.name, d.value, d.limit, verdict[d.met]) for d in fit.diagnostics)
    return Part(
        "diagnostics", title, (), (Table("Diagnostics", ("Diagnostic", "Value", "Limit", "Verdict"), rows),)
    )


def _constants(fit: Fit) -> Part:
    title = "Prior and posterior"
    if not fit.constants:
        return _absent("constants", title)
    return Part("constants", title, (), figure=contraction(fit.constants))


def _predictive(fit: Fit) -> Part:
    title = "Fitted trials"
    if not fit.predictive:
        return _absent("fitted", title)
    return Part("fitted", title, (), figure=predictive(fit.predictive), small=True)


def _left_out(fit: Fit) -> Part:
    title = "Trials left out"
    held_out = fit.held_out
    if held_out is None:
        return _absent("left-out", title)
    words = {"arm": "arms", "contrast": "contrasts"}
    baselines_first = sorted(held_out.scores, key=lambda s: (s.kind, s.predictor == held_out.mechanism))
    by_rows = Table(
        "The same with rows weighing equally, so that a trial with many visits counts much: coverage (95 % Wilson "
        "interval, as if rows were independent), CRPS and bias (standard error over trials)",
        ("Predicted", "Model", "Rows (trials)", "50 %", "80 %", "95 %", "CRPS", "Bias"),
        tuple(
            (
                words[s.kind],
                s.predictor,
                f"{s.rows} ({s.trials})",
                *(f"{percent(c.share)} ({interval(100 * c.low, 100 * c.high, 0)})" for c in s.coverage),
                f"{number(s.crps, 2)} ({number(s.crps_se, 2)})",
                f"{number(s.bias, 2)} ({number(s.bias_se, 2)})",
            )
            for s in baselines_first
        ),
        keys=2,
    )
    by_trials = Table(
        "Each trial predicted from all others, trials weighing equally: mean over trials of each trial's coverage, "
        "CRPS and bias in points (± standard error); lower CRPS is better",
        ("Predicted", "Model", "Trials", "50 %", "80 %", "95 %", "CRPS", "Bias"),
        tuple(
            (
                words[s.kind],
                s.predictor,
                str(s.trials),
                *(percent(x) for x in s.coverage_by_trial),
                _plus_minus(s.crps_by_trial, s.crps_by_trial_se),
                _plus_minus(s.bias_by_trial, s.bias_by_trial_se),
            )
            for s in baselines_first
        ),
        keys=2,
    )
    differences = Table(
        "Difference of CRPS on the same rows, below 0 where the first is better: by trial (± standard error, Student's "
        "interval) and by row (bootstrap over trials)",
        ("Predicted", "Models", "By trial", "95 % interval", "By row", "95 % interval"),
        tuple(
            (
                words[d.kind],
                f"{d.predictor} minus {d.against}",
                _plus_minus(d.crps_by_trial, d.se_by_trial),
                "one trial"
                if d.q025_by_trial is None or d.q975_by_trial is None
                else interval(d.q025_by_trial, d.q975_by_trial, 2),
                _plus_minus(d.crps, d.se),
                interval(d.q025, d.q975, 2),
            )
            for d in held_out.differences
        ),
        keys=2,
    )
    return Part(
        "left-out",
        title,
        (),
        (by_trials, by_rows, differences),
        transforms(held_out) if held_out.pit else None,
    )


def _simulation_based(fit: Fit) -> Part:
    title = "Simulation-based calibration"
    if fit.simulation_based is None:
        return _absent("simulation-based", title)
    return Part("simulation-based", title, (), figure=ranks(fit.simulation_based))


def _structures(structures: Sequence[Structure]) -> Part:
    title = "Rival structures"
    if not structures:
        return _absent("structures", title)
    rows = tuple(
        (s.name, number(s.elpd), f"{number(s.difference)} ± {number(s.difference_se)}",
         "refitted" if s.worst_k is None else number(s.worst_k, 2), percent(s.optimum), percent(s.weight))
        for s in structures
    )  # fmt: skip
    columns = (
        "Structure",
        "Held-out log score",
        "From the best ± SE",
        "Worst Pareto k",
        "Best mixture",
        "Weight",
    )
    text = (
        "Best mixture: weights with the highest held-out log score (stacking, Yao et al. 2018), which jump to one "
        "structure where the trials hardly tell them apart. The posterior uses their average over all mixtures, each "
        "counted by how well it predicts the trials left out. Trials that cannot be reweighted reliably do not count."
    )
    return Part("structures", title, (text,), (Table("Structures", columns, rows),))


def _credibility(fit: Fit) -> Part:
    title = "Credibility record"
    record = fit.credibility
    if record is None:
        return _absent("credibility", title)
    stated = (
        ("Question of interest", "question_of_interest"),
        ("Context of use", "context_of_use"),
        ("Model influence", "model_influence"),
        ("Consequence of a wrong decision", "decision_consequence"),
        ("Model risk", "model_risk"),
    )
    tables = [
        Table("Use", ("Item", "Stated"), tuple((name, str(record[key])) for name, key in stated), keys=2)
    ]
    for section in ITEMS:
        rows = tuple(
            (i["title"], i["verdict"], "" if i["result"] == MISSING else i["result"], i["limit"])
            for i in record[section]
        )
        tables.append(Table(section.capitalize(), ("Item", "Verdict", "Result", "Limit"), rows, keys=4))
    limits = Table("Limitations", ("Limitation",), tuple((text,) for text in record["limitations"]))
    text = "Terms of ASME V&V 40 and ICH M15; filled from the checks above."
    return Part("credibility", title, (text,), (*tables, limits))
