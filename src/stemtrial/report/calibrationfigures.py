"""Figures of a fit and its validation: contraction, predictive checks by arm, and calibration plots."""

from collections.abc import Sequence
from math import log

import numpy as np
from markupsafe import Markup

from stemtrial.calibration.scores import ecdf_band, ecdf_test
from stemtrial.report.calibrationcontract import (
    ArmCheck,
    Constant,
    HeldOut,
    Range,
    SimulationBased,
    TrialCheck,
)
from stemtrial.report.colours import ARM_COLOURS, ARM_DASHES, BLUE, INK, MUTED, RULE, VERMILLION
from stemtrial.report.figure import Figure, Panel, Table
from stemtrial.report.plot import Entry, Plot, Scale, clip_text, ticks, widen
from stemtrial.report.wording import THIN, interval, month, number, percent

LINE = 24.0
INFORMED = 0.1
"""Contraction below which a constant is said to rest on its prior."""

_POINTS = 50
_STEPS = 999


def contraction(constants: Sequence[Constant]) -> Figure:
    """Draw prior and posterior interval of each constant on the axis of its own prior, most informed first."""
    rows = sorted(constants, key=lambda c: -c.contraction)
    informed = sum(c.contraction >= INFORMED for c in rows)
    table = Table(
        "Constants before and after the fit: median (95 % interval)",
        ("Constant", "Meaning", "Unit", "Prior", "Posterior", "Contraction"),
        tuple(
            (c.symbol, c.meaning, c.unit, _range(c.prior), _range(c.posterior), percent(c.contraction))
            for c in rows
        ),
        keys=3,
    )
    return Figure(
        key="contraction",
        title="What the trials say about each constant",
        description=(
            "Dashed: 95 % interval of the prior, which ends at 0 and 1 of each row's own axis (its median a "
            "stroke). Solid: 95 % interval of the posterior, with its median. Contraction: by what share the variance "
            f"shrank. {informed} of {len(rows)} constants contract by {percent(INFORMED)} or more; the others rest on "
            "their prior, so what is said about them is assumption."
        ),
        panels=(Panel(_draw_contraction(rows), table),),
    )


def _range(x: Range) -> str:
    return f"{_four(x.median)} ({_four(x.low)} to {_four(x.high)})"


def _four(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def _draw_contraction(rows: Sequence[Constant]) -> Markup:
    height = 74 + LINE * len(rows) + 52
    plot = Plot(x=(-0.35, 1.35), y=(0, 1), title="", width=980, height=height, left=390, right=130, top=62)
    plot.py = Scale(0, 1, height - 52, 62)
    plot.bottom = 52
    plot.text(4, 18, "dashed: prior   solid: posterior   (95 % intervals)", ink=INK)
    plot.text(4, 46, "Constant", ink=INK, bold=True)
    plot.text(976, 46, "Contraction", "end", INK, bold=True)
    for value in (0.0, 0.5, 1.0):
        plot.rule(RULE, x=value, width=1)
    plot.grid_x((0.0, 0.5, 1.0), "Place in the prior's 95 % interval")
    for place, c in enumerate(rows):
        y = 62 + LINE * (place + 0.5)
        strong = c.contraction >= INFORMED
        plot.text(4, y + 4, clip_text(c.symbol, 14), ink=INK if strong else MUTED, bold=strong)
        plot.text(112, y + 4, clip_text(c.meaning, 40), ink=INK if strong else MUTED)
        low, middle, high = (_place(c, x) for x in (c.posterior.low, c.posterior.median, c.posterior.high))
        prior = plot.px(_place(c, c.prior.median))
        plot.segment(plot.px(0), y - 5, plot.px(1), y - 5, MUTED, 1.4, "4 3")
        plot.segment(prior, y - 9, prior, y - 1, MUTED, 1.4)
        colour = BLUE if strong else MUTED
        plot.segment(plot.px(low), y + 3, plot.px(high), y + 3, colour, 3.0)
        plot.dot(plot.px(middle), y + 3, colour, 4.0)
        plot.text(976, y + 4, percent(c.contraction), "end", INK if strong else MUTED)
    spoken = "; ".join(f"{c.symbol} {percent(c.contraction)}" for c in rows)
    return plot.svg(f"Prior and posterior of each constant. Contraction: {spoken}.")


def _place(c: Constant, value: float) -> float:
    """Place of a value between the ends of the prior, 0 to 1, on the constant's scale."""
    low, high, x = (log(v) if c.scale == "log" else v for v in (c.prior.low, c.prior.high, value))
    return (x - low) / (high - low) if high > low else 0.5


def predictive(trials: Sequence[TrialCheck]) -> Figure:
    """Draw one small panel an arm: bands of its predicted mean, and the published means."""
    arms = [arm for trial in trials for arm in trial.arms]
    changes = [x for arm in arms if arm.unit == "change" for x in (*arm.q025, *arm.q975, *_whiskers(arm))]
    axis = widen([0.0, *changes], 5)
    held = [_held(arm) for arm in arms]
    n = sum(len(arm.observed) for arm in arms)
    shares = [sum(h[i] for arm in held for h in arm) / max(n, 1) for i in (0, 1)]
    return Figure(
        key="predictive",
        title="Posterior predictive check by trial and arm",
        description=(
            "Line: median prediction of the arm's observed mean; dark band: 50 %, light band: 95 % (an arm with one "
            "month has bars instead). Dots: published means with 1.96 standard errors where known. Down is better: "
            f"changes fall below 0, levels run from 0 to 100. Of {n} published means, {percent(shares[0])} lie in the "
            f"50 % and {percent(shares[1])} in the 95 % bands. These trials were fitted, so this checks the model's "
            "shape and not its predictions; trials left out follow below."
        ),
        panels=tuple(
            Panel(_draw_arm(trial, arm, axis), _arm_table(trial, arm))
            for trial in trials
            for arm in trial.arms
        ),
    )


def _whiskers(arm: ArmCheck) -> list[float]:
    return [o.value + sign * 1.96 * (o.se or 0.0) for o in arm.observed for sign in (-1.0, 1.0)]


def _at(arm: ArmCheck, when: float) -> list[float]:
    """Quantiles at a month, straight between the months given."""
    return [float(np.interp(when, arm.months, q)) for q in (arm.q025, arm.q25, arm.q50, arm.q75, arm.q975)]


def _held(arm: ArmCheck) -> list[tuple[bool, bool]]:
    """Whether each published mean lies in the 50 % and in the 95 % band."""
    found = []
    for o in arm.observed:
        low, inner_low, _, inner_high, high = _at(arm, o.month)
        found.append((inner_low <= o.value <= inner_high, low <= o.value <= high))
    return found


def _draw_arm(trial: TrialCheck, arm: ArmCheck, changes: tuple[float, float]) -> Markup:
    last = max(*arm.months, *(o.month for o in arm.observed), 1.0)
    y = changes if arm.unit == "change" else (0.0, 100.0)
    plot = Plot(
        x=(0, last * 1.04), y=y, title="", width=300, height=218, left=40, right=8, top=66, bottom=46
    )  # fmt: skip
    plot.text(4, 15, clip_text(trial.label, 36), ink=INK, bold=True)
    plot.text(4, 32, clip_text(arm.label, 40), ink=INK)
    name = "Change, points (down is better ↓)" if arm.unit == "change" else "Pain 0–100 (down is better ↓)"
    plot.grid_y(ticks(*y, 5), "")
    plot.text(4, 49, name)
    plot.grid_x(_months(last), "Months")
    if arm.unit == "change":
        plot.rule(INK, y=0.0, width=1.1)
    if len(arm.months) > 1:
        plot.band(arm.months, arm.q025, arm.q975, BLUE, 0.16, kind="q95")
        plot.band(arm.months, arm.q25, arm.q75, BLUE, 0.34, kind="q50")
        plot.line(arm.months, arm.q50, BLUE, width=2.0, kind="median")
    else:
        x = plot.px(arm.months[0])
        for low, high, half, shade in ((arm.q025, arm.q975, 7, "#cfe3f0"), (arm.q25, arm.q75, 7, "#8cbcdc")):
            plot.box(x - half, plot.py(high[0]), 2.0 * half, plot.py(low[0]) - plot.py(high[0]), shade)
        plot.segment(x - 7, plot.py(arm.q50[0]), x + 7, plot.py(arm.q50[0]), BLUE, 2.0)
    for o, (_, inside) in zip(arm.observed, _held(arm), strict=True):
        colour = INK if inside else VERMILLION
        if o.se is not None:
            x = plot.px(o.month)
            plot.segment(x, plot.py(o.value - 1.96 * o.se), x, plot.py(o.value + 1.96 * o.se), colour, 1.3)
        plot.dot(plot.px(o.month), plot.py(o.value), colour, 4.0, hollow=not inside)
    spoken = "; ".join(
        f"month {month(o.month)}: published {number(o.value)}, predicted {number(_at(arm, o.month)[2])}"
        for o in arm.observed
    )
    return plot.svg(f"{trial.label}, {arm.label}. {spoken}.")


def _months(last: float) -> tuple[float, ...]:
    """Ticks of a short axis at whole visits: every 1, 3, 6 or 12 months.

    Examples
    --------
    >>> _months(12.0)
    (0.0, 3.0, 6.0, 9.0, 12.0)
    """
    step = next((step for step in (1, 3, 6, 12) if last / step <= 5), 24)
    return tuple(float(x) for x in range(0, int(last) + 1, step))


def _arm_table(trial: TrialCheck, arm: ArmCheck) -> Table:
    rows = []
    for o in arm.observed:
        low, inner_low, middle, inner_high, high = _at(arm, o.month)
        rows.append(
            (month(o.month), number(o.value), "" if o.se is None else number(o.se), number(middle),
             interval(inner_low, inner_high), interval(low, high))
        )  # fmt: skip
    columns = ("Month", "Published", "SE", "Predicted", "50 %", "95 %")
    return Table(f"{trial.label}, {arm.label}: {arm.unit}, points", columns, tuple(rows))


def transforms(held_out: HeldOut) -> Figure:
    """Draw, for arms and contrasts, how far each model's PIT strays from uniform."""
    panels = []
    names = list(dict.fromkeys(score.predictor for score in held_out.scores))
    # baselines first: they are what the mechanism is compared with
    names.sort(key=lambda name: name == held_out.mechanism)
    for kind, title in (("arm", "Arms"), ("contrast", "Contrasts between arms")):
        chosen = {pit.predictor: np.array(pit.values) for pit in held_out.pit if pit.kind == kind}
        if not chosen:
            continue
        n = len(next(iter(chosen.values())))
        band = ecdf_band(n, _STEPS, _POINTS)
        lines = {
            name: [0.0, *((chosen[name][:, None] <= band.z).mean(axis=0) - band.z), 0.0]
            for name in names
            if name in chosen
        }
        plot = _ecdf_plot(title, lines, (band.z, band.low, band.high), "Predicted probability of less", names)
        spoken = "; ".join(
            f"{name} strays by up to {number(max(map(abs, x)), 2)}" for name, x in lines.items()
        )
        table = Table(
            f"{title}: share of held-out rows whose PIT lies in each fifth (uniform: {percent(0.2)})",
            ("Model", "0–0.2", "0.2–0.4", "0.4–0.6", "0.6–0.8", "0.8–1"),
            tuple(
                (name, *(percent(x) for x in np.histogram(chosen[name], 5, (0, 1))[0] / len(chosen[name])))
                for name in lines
            ),
        )
        panels.append(Panel(plot.svg(f"{title}, {n} rows. {spoken}."), table))
    return Figure(
        key="pit",
        title="Are predictions of left-out trials calibrated?",
        description=(
            "Probability integral transform: the share of draws below each published mean. Lines: its cumulative "
            "distribution minus that of a uniform; a calibrated model stays near 0. Above 0 on the left: published "
            "means are lower than predicted too often; a line that first rises and then falls below 0: intervals too "
            "narrow. Grey: 95 % simultaneous band for independent rows; rows of one trial are not independent, so "
            "leaving it somewhat is no proof."
        ),
        panels=tuple(panels),
    )


def _ecdf_plot(
    title: str,
    lines: dict[str, list[float]],
    band: tuple[np.ndarray, np.ndarray, np.ndarray],
    label: str,
    names: Sequence[str],
) -> Plot:
    z, low, high = band
    reach = _reach([*map(np.array, lines.values()), low - z, high - z])
    style = {name: (ARM_COLOURS[i % 6], ARM_DASHES[i % 6]) for i, name in enumerate(names)}
    plot = Plot(
        x=(0, 1), y=(-reach, reach), title=title, entries=[Entry(name, *style[name]) for name in lines]
    )
    plot.grid_y(ticks(-reach, reach, 6), "ECDF minus uniform")
    plot.grid_x((0.0, 0.25, 0.5, 0.75, 1.0), label)
    edges = [0.0, *z, 1.0]
    plot.band(edges, [0.0, *(low - z), 0.0], [0.0, *(high - z), 0.0], MUTED, 0.16, kind="band")
    plot.rule(INK, y=0.0, width=1.1)
    for name, line in lines.items():
        plot.line(edges, line, *style[name], width=2.0, kind="ecdf")
    return plot


def _reach(lines: Sequence[np.ndarray]) -> float:
    """Half height of an axis around 0 that holds all lines and ends on a twentieth."""
    return max(0.05, float(np.ceil(max(np.abs(line).max() for line in lines) * 20 - 1e-9) / 20))


def ranks(found: SimulationBased) -> Figure:
    """Draw the ranks of simulation-based calibration: every constant's ECDF against uniform, with the band."""
    n = len(next(iter(found.ranks.values())))
    band = ecdf_band(n, found.draws, _POINTS)
    tests = {
        symbol: ecdf_test(np.array(values), found.draws, _POINTS) for symbol, values in found.ranks.items()
    }
    counts = np.round(band.z * (found.draws + 1))
    gaps = {
        symbol: (np.array(values)[:, None] + 1 <= counts).mean(axis=0) - band.z
        for symbol, values in found.ranks.items()
    }
    worst = sorted(tests, key=lambda symbol: tests[symbol].p_value)
    smallest = tests[worst[0]].p_value * len(worst)
    reach = _reach([*gaps.values(), band.low - band.z, band.high - band.z])
    plot = Plot(
        x=(0, 1), y=(-reach, reach), title=f"{len(gaps)} constants, {n} fits", width=660, height=340,
        entries=[Entry("inside the band", MUTED), Entry("outside", VERMILLION, "6 3")],
    )  # fmt: skip
    plot.grid_y(ticks(-reach, reach, 6), "ECDF of ranks minus uniform")
    plot.grid_x((0.0, 0.25, 0.5, 0.75, 1.0), "Rank of the true value among the draws, as a share")
    edges = [0.0, *band.z, 1.0]
    plot.band(
        edges, [0.0, *(band.low - band.z), 0.0], [0.0, *(band.high - band.z), 0.0], BLUE, 0.16, kind="band"
    )
    plot.rule(INK, y=0.0, width=1.1)
    for symbol in reversed(worst):
        gap = gaps[symbol]
        outside = tests[symbol].p_value < 0.05
        line = [0.0, *gap, 0.0]
        plot.line(
            edges, line, VERMILLION if outside else MUTED, "6 3" if outside else "", 2.0 if outside else 1.1
        )
        if outside:
            at = int(np.abs(gap).argmax())
            plot.text(plot.px(band.z[at]), plot.py(gap[at]) - 5, symbol, "middle", INK, halo=True)
    rejected = [symbol for symbol in worst if tests[symbol].p_value < 0.05]
    table = Table(
        "Test of uniform ranks (simultaneous ECDF band, exact)",
        ("Constant", "p"),
        tuple((symbol, _p(tests[symbol].p_value)) for symbol in worst),
    )
    spoken = f"{len(rejected)} of {len(gaps)} constants leave the 95 % band."
    return Figure(
        key="ranks",
        title="Does the fit find constants that are known?",
        description=(
            f"Simulation-based calibration: {n} made data sets, each with constants drawn from the prior, were fitted; "
            "if the inference is right, the true value's rank among the draws is uniform. Lines: one a constant. "
            f"Band: 95 % simultaneous for one constant (Säilynoja et al. 2022). {spoken} By chance about "
            f"{number(0.05 * len(gaps))} would. Smallest p, corrected for {len(gaps)} constants: "
            f"{_p(min(1.0, smallest))}."
        ),
        panels=(Panel(plot.svg(spoken), table),),
    )


def _p(value: float) -> str:
    return f"<{THIN}0.001" if value < 0.001 else number(value, 3)
