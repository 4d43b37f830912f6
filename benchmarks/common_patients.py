"""How much noise common patients take off the difference between two designs.

    python benchmarks/common_patients.py FIGURE.svg

Two doses of the example trial are compared by their mean estimate, once on the same virtual patients and once on
others. The figure shows the Monte-Carlo standard error of the difference against the number of virtual trials.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from stemtrial.trial.protocol import Trial
from stemtrial.trial.replicates import Plan, simulate

EXAMPLE = Path(__file__).parents[1] / "examples" / "knee_oa_cells_vs_saline.yaml"
COUNTS = (25, 50, 100, 200, 400, 800)


def plan(dose):
    data = Trial.read(EXAMPLE).model_dump(mode="json")
    data["arms"]["cells"]["treatments"][0]["cells"]["dose_million"] = dose
    return Plan.of(Trial.model_validate(data))


def estimates(given, first):
    batches = np.array_split(np.arange(first, first + max(COUNTS)), 16)
    return np.concatenate([simulate(given, 1, ids)["estimate"] for ids in batches])


def main(figure):
    low, high, other = estimates(plan(25), 0), estimates(plan(100), 0), estimates(plan(100), 100_000)
    shared, independent = (high - low).std(), (other - low).std()
    print(f"SD of the difference of two trials' estimates: {independent:.2f} points with patients of their own, "
          f"{shared:.2f} with the same; variance ratio {(independent / shared) ** 2:.0f}")  # fmt: skip
    mpl.rcParams.update({"svg.hashsalt": "stemtrial", "svg.fonttype": "none", "font.size": 11})
    _, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for spread, label, style in (
        (independent, "patients of their own", {"color": "#000000", "linestyle": "--", "marker": "o"}),
        (shared, "the same patients", {"color": "#0072B2", "linestyle": "-", "marker": "s"}),
    ):
        axes.loglog(COUNTS, spread / np.sqrt(COUNTS), label=label, **style)
    axes.set(xlabel="virtual trials", ylabel="Monte-Carlo standard error, points")
    axes.set_title("Difference between doses of 25 and 100 million cells", loc="left", fontsize=11)
    axes.set_xticks(COUNTS, [str(n) for n in COUNTS])
    axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(frameon=False)
    plt.savefig(figure, metadata={"Date": None} if Path(figure).suffix == ".svg" else None, dpi=150)


if __name__ == "__main__":
    main(sys.argv[1])
