"""What ``simulate`` prints."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def _number(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"


def _interval(value: float, low: float, high: float) -> str:
    return f"{_number(value)} ({_number(low)}, {_number(high)})"


def arms_table(summary: dict[str, Any], report: dict[str, Any]) -> "Table":
    """Arms, comparator first: change at the main visit with 95 % interval, and its true parts."""
    return _changes(summary, report, "arm", {"cells": "cells"})


def changes_table(summary: dict[str, Any], report: dict[str, Any]) -> "Table":
    """Make the same table of a single arm, the counterfactual first, with what the parts leave of the change."""
    return _changes(summary, report, "same patients with", {"remainder": "rest"})


def _changes(summary: dict[str, Any], report: dict[str, Any], first: str, further: dict[str, str]) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table

    month = f"{report['endpoint']['month']:g}"
    parts = {"contextual": "contextual", "specific": "specific"} | further
    reading = "95 % interval of trials' means; negative is better"
    title = f"{summary['trial']}\nChange of {report['endpoint']['label']}\n{reading}"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column(first, overflow="fold", min_width=14)
    for heading in ("n", "change", *parts.values(), "MCID"):
        table.add_column(heading, justify="right", no_wrap=True)
    words = {summary.get("counterfactual"): "inert injection"}
    for name, arm in summary["arms"].items():
        change = arm["change"][month]
        table.add_row(
            words.get(name, name),
            str(arm["n"]),
            _interval(change["mean"], change["q025"], change["q975"]),
            *(_number(arm["parts"][part]["mean"]) for part in parts),
            f"{100 * arm['responders']['mcid']['share']:.0f} %",
        )
    return table


def sentences(summary: dict[str, Any]) -> list[str]:
    """Say what a single arm cannot show, and what its goal tells."""
    goal = summary["goal"]
    if goal is None:
        return [summary["statement"], "No performance goal is declared, so nothing is tested."]
    met, anyway = (100 * goal[key]["value"] for key in ("met", "met_though_inert"))
    return [
        summary["statement"],
        f"Goal, more than {goal['improvement']:g} points of improvement: met by {met:.1f} % of the trials, "
        f"and by {anyway:.1f} % if what is studied does nothing.",
    ]


def question_table(summary: dict[str, Any]) -> "Table":
    """Contrast with its parts, and the trial's chances."""
    from rich.box import SIMPLE
    from rich.table import Table

    contrast = summary["contrast"]
    table = Table(
        title="Experimental minus comparator",
        title_justify="left",
        show_header=False,
        box=SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_row("difference", _interval(contrast["estimate"], contrast["q025"], contrast["q975"]))
    for part in ("contextual", "specific"):
        table.add_row(f"  {part}", _interval(*(contrast[part][k] for k in ("mean", "q025", "q975"))))
    labels = {
        "assurance": "assurance (over all constants)",
        "power": "power (constants at their mean)",
        "type_one_error": "type I error (declared better though inert)",
    }
    for key, label in labels.items():
        table.add_row(label, f"{100 * summary[key]['value']:.1f} % ± {100 * summary[key]['mc_se']:.1f}")
    error = summary["numerical_error"]
    table.add_row(
        "error of the time grid", f"{error['max_points']:.4f} points ({error['checked_patients']} patients)"
    )
    return table


def further_tables(summary: dict[str, Any]) -> "list[Table]":
    """Make tables of looks, comparisons, estimands, factors and doses, where the trial file asks for several."""
    tables = []
    if len(summary["looks"]) > 1:
        tables.append(looks_table(summary))
    if len(summary["comparisons"]) > 1:
        rows = {f"{c['experimental']} minus {c['comparator']}": c for c in summary["comparisons"]}
        tables.append(_answers("All comparisons, sharing alpha", rows))
    if len(summary["estimands"]) > 1:
        rows = {name.replace("_", " "): answer for name, answer in summary["estimands"].items()}
        tables.append(_answers("Estimands, on the same patients", rows))
    if summary["factorial"] is not None:
        tables.append(_answers("Effects of the factorial design", summary["factorial"]))
    if summary["dose_response"] is not None:
        tables.append(doses_table(summary["dose_response"]))
    if summary["secondary"] is not None:
        tables += secondary_tables(summary["secondary"])
    return tables


def _plain_table(title: str, headings: list[str]) -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _percent(found: dict[str, float]) -> str:
    return f"{100 * found['value']:.1f} % ± {100 * found['mc_se']:.1f}"


def looks_table(summary: dict[str, Any]) -> "Table":
    """Bounds of each look, and the share of trials that stop there over all constants."""
    size = summary["sample_size"]
    title = f"Looks; of at most {size['maximal']} patients, {size['assurance']['mean']:.0f} are randomised on average"
    table = _plain_table(
        title, ["look", "patients", "shown from z", "given up to z", "shown", "given up", "ends"]
    )
    for look in summary["looks"]:
        z = ["-" if look[key] is None else f"{look[key]:.3f}" for key in ("efficacy_z", "futility_z")]
        stop = look["stopping"]["assurance"]
        shares = (f"{100 * stop[key]:.1f} %" for key in ("efficacy", "futility", "ends_here"))
        table.add_row(f"{100 * look['information']:.0f} %", str(sum(look["patients"].values())), *z, *shares)
    return table


def _answers(title: str, rows: dict[str, dict[str, Any]]) -> "Table":
    table = _plain_table(title, ["", "difference", "assurance", "power", "type I error"])
    for name, answer in rows.items():
        estimate = answer["estimate"]
        table.add_row(
            name,
            _interval(estimate["mean"], estimate["q025"], estimate["q975"]),
            *(_percent(answer[key]) for key in ("assurance", "power", "type_one_error")),
        )
    return table


def secondary_tables(found: dict[str, Any]) -> "list[Table]":
    """Make tables of the odds ratios of responders, and of how long a response lasts."""
    scenarios = ("assurance", "power", "type_one_error")
    tables = []
    if found["responders"]:
        words = {"non_responder": "not seen counts as no", "left_out": "those seen"}[found["missing"]]
        table = _plain_table(
            f"Responders ({words}), odds ratio; not adjusted for multiplicity",
            ["", "odds ratio", "assurance", "power", "type I error"],
        )
        for name, answer in found["responders"].items():
            for method in ("logistic", "cmh"):
                odds = answer[method]["odds_ratio"]
                shown = (
                    "-" if odds is None else f"{odds['median']:.2f} ({odds['q025']:.2f}, {odds['q975']:.2f})"
                )
                label = f"{name.replace('_', ' ')}, {method}"
                table.add_row(label, shown, *(_percent(answer[method][key]) for key in scenarios))
        tables.append(table)
    if (loss := found["time_to_loss"]) is not None:
        chances = ", ".join(
            f"{words} {_percent(loss['log_rank'][key])}"
            for key, words in zip(scenarios, ("assurance", "power", "type I error"), strict=True)
        )
        table = _plain_table(
            f"Time to loss of response; later in the experimental arm by the log-rank test: {chances}",
            ["arm", "respond", "kept at the end", "median, months", "reached in"],
        )
        for name, arm in loss["arms"].items():
            kept, median = arm["kept"], arm["median_months"]
            table.add_row(
                name,
                f"{100 * arm['responders']['mean']:.0f} %",
                f"{100 * kept[-1]['mean']:.0f} %" if kept else "-",
                "-" if median is None else f"{median:.1f}",
                f"{100 * arm['median_reached']['value']:.0f} %",
            )
        tables.append(table)
    return tables


def doses_table(found: dict[str, Any]) -> "Table":
    """How often each dose is picked."""
    shown = _percent(found["assurance"]["shown"])
    title = f"Doses, million cells; a dose response is shown in {shown} of trials"
    table = _plain_table(title, ["dose picked", "million cells", "assurance", "power", "type I error"])
    for name in found["assurance"]["picked"]:
        dose = f"{found['doses'][name]:g}" if name in found["doses"] else ""
        shares = (_percent(found[key]["picked"][name]) for key in ("assurance", "power", "type_one_error"))
        table.add_row(name, dose, *shares)
    return table
