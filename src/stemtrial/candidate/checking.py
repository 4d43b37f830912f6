"""Makes the table of :mod:`stemtrial.candidate.checks`: published arms and simulated persons, predicted and observed.

From the folder of the fit behind the posterior that comes with the package::

    python -m stemtrial.candidate.checking FIT --out src/stemtrial/candidate/data/knee_oa.json

For constants of one's own leave ``--out`` away: the table is written into the folder of the fit, where
``stemtrial evaluate --posterior FIT/knee_oa.posterior`` finds it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemtrial.candidate.checks import FILE, lines

if TYPE_CHECKING:
    from stemtrial.calibration.fitfolder import FitFolder
    from stemtrial.calibration.posterior import Posterior

INTERVALS = {0.5: ("q25", "q75"), 0.8: ("q10", "q90"), 0.95: ("q025", "q975")}
"""Central intervals whose coverage is counted, with the names of their ends."""

ENDS = {"q025": 0.025, "q10": 0.1, "q25": 0.25, "q75": 0.75, "q90": 0.9, "q975": 0.975}
"""Quantiles of a predicted share that are kept."""

EDGES = (0, 20, 40, 60, 80, 100)
"""Groups of predicted shares, of 100."""

FOLLOWED = "autologous_culture_expanded_bone_marrow"
"""Option under which simulated persons are followed."""


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean predicted and observed share of 100, their difference, and how often intervals held.

    Trials weigh equally, however many arms and visits they print; the standard error of the difference is over trials.
    """
    import numpy as np

    trials = by_trial(rows)
    gaps = np.array([np.mean([row["observed"] - row["predicted"] for row in own]) for own in trials])

    def held(row: Mapping[str, Any], low: str, high: str) -> bool:
        return bool(row[low] <= row["observed"] <= row[high])

    return {
        "rows": len(rows),
        "trials": len(trials),
        **_means(trials),
        "difference": float(gaps.mean()),
        "difference_se": float(gaps.std(ddof=1) / len(gaps) ** 0.5) if len(gaps) > 1 else None,
        "coverage": [
            {
                "level": level,
                "share": float(np.mean([np.mean([held(row, *ends) for row in own]) for own in trials])),
                "rows": float(np.mean([held(row, *ends) for row in rows])),
            }
            for level, ends in INTERVALS.items()
        ],
    }


def by_trial(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the rows of each trial."""
    names = dict.fromkeys(row["trial_id"] for row in rows)
    return [[row for row in rows if row["trial_id"] == name] for name in names]


def _means(trials: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Mean shares over trials of the means within each."""
    return {
        name: sum(sum(row[name] for row in own) / len(own) for own in trials) / len(trials)
        for name in ("predicted", "observed")
    }


def bins(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mean predicted and observed share in each group of :data:`EDGES` that has rows; trials weigh equally.

    Examples
    --------
    >>> row = {"trial_id": "a", "predicted": 30.0, "observed": 40.0}
    >>> bins([row, row | {"observed": 20.0}, row | {"trial_id": "b"}])
    [{'low': 20, 'high': 40, 'rows': 3, 'trials': 2, 'predicted': 30.0, 'observed': 35.0}]
    """
    found = []
    for low, high in pairwise(EDGES):
        own = [row for row in rows if low <= row["predicted"] < high or row["predicted"] == high == EDGES[-1]]
        if own:
            trials = by_trial(own)
            found.append(
                {"low": low, "high": high, "rows": len(own), "trials": len(trials), **_means(trials)}
            )
    return found


def make(
    fit: "FitFolder", seed: int = 1, draws: int = 400, patients: int = 25, persons: int = 200
) -> dict[str, Any]:
    """Make the table of a fit.

    Parameters
    ----------
    fit
        Folder of the fit with its chains (:func:`stemtrial.calibration.fitfolder.read_fit`).
    seed, draws, patients
        Of the predictions of published arms.
    persons
        Simulated persons (:func:`stemtrial.candidate.backtest.backtest`).
    """
    from stemtrial.calibration.leftout import without
    from stemtrial.calibration.mixture import unreliable
    from stemtrial.calibration.trialwise import trialwise

    parts = {name: trialwise(each, seed, draws) for name, each in fit.fits.items()}
    doubtful = unreliable(parts)
    rows = _predicted(
        fit, lambda trial: without(fit.posterior, parts, trial, draws, seed), seed, draws, patients
    )
    for row in rows:
        row["reliable"] = row["trial_id"] not in doubtful
    return _table(
        fit, rows, sorted(doubtful & {row["trial_id"] for row in rows}), seed, draws, patients, persons
    )


def _predicted(
    fit: "FitFolder", belief_without: "Callable[[str], Posterior]", seed: int, draws: int, patients: int
) -> list[dict[str, Any]]:
    import numpy as np

    from stemtrial import scales
    from stemtrial.calibration.predicting import seed_of
    from stemtrial.candidate.participants import participants
    from stemtrial.candidate.responders import asked, predict
    from stemtrial.evidence import load

    evidence = load()
    trials, important = participants(fit.arms.indication), scales.mcid("VAS", fit.arms.indication)
    assert important is not None
    found = []
    for trial in fit.arms.trials:
        known = None
        for arm in fit.arms.of(trial):
            rows = list(asked(arm, evidence, important.value))
            if not rows:
                continue
            known = known or belief_without(trial)
            share = 100 * predict(arm, rows, known, trials, seed_of(seed, trial, arm.arm_id), draws, patients)
            ends = np.quantile(share, tuple(ENDS.values()), axis=0)
            for place, row in enumerate(rows):
                found.append(
                    {
                        "trial_id": trial, "arm_id": arm.arm_id, "month": row.month, "rule": row.rule,
                        "basis": row.basis, "n": row.n, "observed": 100 * row.share,
                        "predicted": float(share[:, place].mean()),
                        **dict(zip(ENDS, map(float, ends[:, place]), strict=True)),
                        "row": row.row, "reference_id": row.reference_id,
                    }
                )  # fmt: skip
    return found


def _table(
    fit: "FitFolder",
    rows: list[dict[str, Any]],
    doubtful: list[str],
    seed: int,
    draws: int,
    patients: int,
    persons: int,
) -> dict[str, Any]:
    from stemtrial import scales
    from stemtrial.candidate.backtest import backtest
    from stemtrial.candidate.options import named

    important = scales.mcid("VAS", fit.arms.indication)
    assert important is not None
    (option,) = named(fit.arms.indication, [FOLLOWED])
    groups = {
        basis: [row for row in rows if row["basis"] == basis] for basis in ("mean and SD", "rated", "counted")
    }
    groups["reliable"] = [row for row in rows if row["reliable"]]
    return {
        "indication": fit.arms.indication,
        "posterior": fit.posterior.fingerprint,
        "label": fit.posterior.label,
        "seed": seed,
        "draws": draws,
        "patients": patients,
        "mcid": important.value,
        "left_out": {
            "all": summary(rows),
            "groups": {name: summary(own) for name, own in groups.items() if own},
            "bins": bins(rows),
            "unreliable": doubtful,
            "rows": rows,
        },
        "simulated": backtest(option, fit.posterior, seed, persons=persons).to_dict(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the table of the fit in a folder and write it; see the module."""
    import argparse
    import os

    from stemtrial.calibration.fitfolder import read_fit
    from stemtrial.evidence import load

    parser = argparse.ArgumentParser(prog="python -m stemtrial.candidate.checking", description=main.__doc__)
    parser.add_argument("fit", type=Path, help="folder that `stemtrial fit` has written")
    parser.add_argument("--out", type=Path, help=f"file to write; by default {FILE} in the folder of the fit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--persons", type=int, default=200, help="simulated persons")
    chosen = parser.parse_args(arguments)
    found = make(read_fit(chosen.fit, load()), chosen.seed, chosen.draws, persons=chosen.persons)
    path: Path = chosen.out or chosen.fit / FILE
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_rounded(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    print("\n".join(lines(found)))


def _rounded(data: Any) -> Any:
    """Numbers to six digits."""
    if isinstance(data, Mapping):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_rounded(value) for value in data]
    return float(f"{data:.6g}") if isinstance(data, float) else data


if __name__ == "__main__":
    main()
