"""Write regression/baseline.json: numbers of the shipped examples that no change may move unnoticed.

    python regression/update.py

Run it only when results are meant to change, and say so in the changelog under **Numbers changed**.
"""

import json
from pathlib import Path

import numpy as np

from stemtrial.documents import Document
from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "regression" / "baseline.json"
REPLICATES, SEED = 60, 1


def numbers(example: Path) -> dict[str, float | list[float]]:
    """Means over the replicates of everything a run reduces them to."""
    results = simulate(Plan.of(Trial.read(example)), SEED, np.arange(REPLICATES))
    return {name: np.asarray(values.mean(axis=0)).round(9).tolist() for name, values in results.items()}


def examples() -> list[Path]:
    """Trial files among the shipped examples."""
    return [path for path in sorted((ROOT / "examples").glob("*.yaml")) if "arms" in Document.read(path).data]


def everything() -> dict[str, dict[str, float | list[float]]]:
    """Numbers of every shipped example of a trial."""
    return {path.name: numbers(path) for path in examples()}


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(everything(), indent=1) + "\n", encoding="utf-8")
