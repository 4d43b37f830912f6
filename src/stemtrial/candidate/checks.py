"""How far told chances can be trusted: predicted beside observed responders, of published arms and simulated persons.

The table that comes with the package belongs to one posterior and is used with that one alone
(:mod:`stemtrial.candidate.checking` makes it).
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from stemtrial.errors import InputError, Problem

FILE = "responders.json"
"""Name of the table in the folder of a fit."""


@cache
def shipped(indication: str) -> Mapping[str, Any] | None:
    """Return the table that comes with the package, ``None`` without one."""
    resource = files("stemtrial.candidate").joinpath(f"data/{indication}.json")
    return json.loads(resource.read_text(encoding="utf-8")) if resource.is_file() else None


def table(indication: str, fingerprint: str, posterior: Path | None = None) -> Mapping[str, Any] | None:
    """Return the table that belongs to some constants, ``None`` where none was made of them.

    Parameters
    ----------
    indication
        Of the constants.
    fingerprint
        Of the belief.
    posterior
        Its file, if it is not the one that comes with the package; the table is looked for beside it.

    Raises
    ------
    InputError
        For a file of that name that is no such table.
    """
    found = shipped(indication)
    if posterior is not None and (path := posterior.parent / FILE).is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not {"posterior", "left_out", "simulated"} <= set(found or ()):
                raise ValueError
        except (OSError, ValueError):
            hint = "make it again with `python -m stemtrial.candidate.checking`"
            raise InputError(Problem("is no table of responders", file=str(path), hint=hint)) from None
    return found if found is not None and found["posterior"] == fingerprint else None


def told(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what an evaluation says of its checks: the table with the rows of outcomes in place of the arms."""
    if found is None:
        return None
    left_out = {name: value for name, value in found["left_out"].items() if name != "rows"}
    left_out["outcome_rows"] = sorted(
        {row["row"] for row in found["left_out"]["rows"] if row["row"] is not None}
    )
    return {
        "text": sentence(found), "posterior": found["posterior"], "seed": found["seed"], "draws": found["draws"],
        "left_out": left_out, "simulated": found["simulated"],
    }  # fmt: skip


def sentence(found: Mapping[str, Any]) -> str:
    """Say in a sentence or two how predicted and observed responders agree."""
    whole, simulated = found["left_out"]["all"], found["simulated"]
    held = {f"{100 * each['level']:.0f}": 100 * each["share"] for each in whole["coverage"]}
    unsure = len(found["left_out"]["unreliable"])
    doubt = f" ({unsure} of the trials could be left out only roughly)" if unsure else ""
    checks = [*simulated["coverage"], *simulated["calibration"]]
    met = sum(each["low"] <= each.get("covered", each.get("responded")) <= each["high"] for each in checks)
    return (
        f"{whole['rows']} shares of responders in {whole['trials']} published trials, each predicted without its own "
        f"trial{doubt}: {whole['predicted']:.0f} of 100 predicted, {whole['observed']:.0f} observed; 50 % intervals "
        f"held {held['50']:.0f} of 100, 95 % intervals {held['95']:.0f}; trials weigh equally. "
        f"{simulated['persons']} simulated persons: {met} of {len(checks)} checks of forecasts held"
    )


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the table as text: by group of predicted shares, by what the share is, and of simulated persons."""
    left_out, simulated = found["left_out"], found["simulated"]
    text = [f"{found['label']}: {sentence(found)}.", ""]
    text.append(f"{'predicted of 100':<22}{'predicted':>10}{'observed':>10}{'shares':>8}{'trials':>8}")
    for each in left_out["bins"]:
        name, counts = f"{each['low']} to {each['high']}", (each["rows"], each["trials"])
        text.append(
            f"{name:<22}{each['predicted']:>10.0f}{each['observed']:>10.0f}{counts[0]:>8}{counts[1]:>8}"
        )
    text += [
        "",
        f"{'shares':<22}{'predicted':>10}{'observed':>10}{'difference (SE)':>18}{'50 %':>6}{'80 %':>6}{'95 %':>6}",
    ]
    for name, each in {"all": left_out["all"], **left_out["groups"]}.items():
        held = "".join(f"{100 * c['share']:>6.0f}" for c in each["coverage"])
        error = "" if each["difference_se"] is None else f" ({each['difference_se']:.1f})"
        gap = f"{each['difference']:+.1f}{error}"
        text.append(f"{name:<22}{each['predicted']:>10.0f}{each['observed']:>10.0f}{gap:>18}{held}")
    text += ["", f"{'simulated persons':<22}{'persons':>10}{'expected':>10}{'responded':>11}{'right if':>12}"]
    for each in simulated["calibration"]:
        low, high = (100 * end for end in each["chances"])
        name, right = f"{each['seen']} visits, {low:.0f} to {high:.0f}", f"{each['low']} to {each['high']}"
        text.append(
            f"{name:<22}{each['persons']:>10}{each['expected']:>10.0f}{each['responded']:>11}{right:>12}"
        )
    return text
