"""What ``simulate`` prints of a single-arm trial."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def changes_table(summary: dict[str, Any], report: dict[str, Any]) -> "Table":
    """Make the table of the change with and without what is studied, the counterfactual first."""
    from rich.box import SIMPLE
    from rich.table import Table

    month = f"{report['endpoint']['month']:g}"
    reading = "95 % interval of trials' means; negative is better"
    title = f"{summary['trial']}\nChange of {report['endpoint']['label']}\n{reading}"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("same patients with", overflow="fold", min_width=14)
    for heading in ("n", "change", "contextual", "specific", "rest", "MCID"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, arm in summary["arms"].items():
        change = arm["change"][month]
        table.add_row(
            name.replace("_", " "),
            str(arm["n"]),
            f"{change['mean']:+.1f} ({change['q025']:+.1f}, {change['q975']:+.1f})",
            *(f"{arm['parts'][part]['mean']:+.1f}" for part in ("contextual", "specific", "remainder")),
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
