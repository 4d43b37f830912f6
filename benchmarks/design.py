"""Design numerics and repeated measures, beside R rpact and nlme in the same run where R has them.

python benchmarks/design.py
"""

import shutil
import subprocess
import time
from collections.abc import Callable

import numpy as np

from stemtrial.trial.boundaries import boundaries, recalculated
from stemtrial.trial.conditional import conditional_power, predictive_power
from stemtrial.trial.groupsequential import BetaSpending, GroupSequential
from stemtrial.trial.mmrm import mmrm
from stemtrial.trial.multiplicity import dunnett, hochberg, holm
from stemtrial.trial.spending import OBrienFlemingType, PocockType

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
R_DESIGN = """
suppressPackageStartupMessages(library(rpact)); options(warn = -1)
for (i in 1:2) { from <- Sys.time()                        # the second pass is timed, with everything loaded
d <- getDesignGroupSequential(informationRates = 1:5 / 5, alpha = .025, sided = 1, beta = .2, typeOfDesign = "asOF",
                              typeBetaSpending = "bsP")
for (t in seq(0, .5, length.out = 101)) p <- getPowerAndAverageSampleNumber(d, theta = t, nMax = 100)
took <- as.numeric(Sys.time() - from, units = "secs") }
cat(took)
"""
R_MMRM = """
suppressPackageStartupMessages(library(nlme)); set.seed(1); n <- 240
long <- data.frame(id = rep(1:n, each = 5), visit = rep(1:5, n), arm = rep(0:1, each = 5 * n / 2))
long$base <- rep(rnorm(n), each = 5)
long$y <- rep(rnorm(n), each = 5) + rnorm(5 * n); long$v <- factor(long$visit)
long <- long[runif(5 * n) > .15 | long$visit < 4, ]
from <- Sys.time()
m <- gls(y ~ 0 + v + v:base + v:arm, long, correlation = corSymm(form = ~ visit | id),
         weights = varIdent(form = ~ 1 | v))
cat(as.numeric(Sys.time() - from, units = "secs"))
"""


def timed(work: Callable[[], object]) -> float:
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_r(script: str) -> float | None:
    """Seconds that R printed, or None without R or the package."""
    if shutil.which("Rscript") is None:
        return None
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def readings(replicates: int, returns: bool) -> tuple:
    rng = np.random.default_rng(1)
    base = rng.normal(60, 10, (2, replicates, 120))
    y = (
        base[:, None]
        - 20
        + rng.normal(0, 8, (2, 1, replicates, 120))
        + rng.normal(0, 5, (2, 5, replicates, 120))
    )
    seen = ~np.maximum.accumulate(rng.random(y.shape) < 0.04, axis=1)
    if returns:
        seen &= rng.random(y.shape) > 0.03
    return tuple(y), tuple(base), tuple(seen), "kenward_roger"


def main() -> None:
    design = GroupSequential(FIVE, 0.025, 1, OBrienFlemingType(), BetaSpending(PocockType(), 0.2))
    bounds = boundaries(design)
    rng = np.random.default_rng(1)
    information = np.array(FIVE) * 240 + rng.uniform(-15, 15, (10_000, 5))
    z = rng.normal(1, 1, 10_000)

    def whole() -> None:
        boundaries.cache_clear()
        boundaries(design).stopping(np.linspace(0, 5, 101))

    p, t, df = rng.uniform(size=(10_000, 5)), rng.normal(size=(10_000, 5)), np.full(10_000, 230.0)
    fewer = readings(1_000, returns=True)
    once = readings(10_000, returns=False)
    rows = [
        ("five looks with futility, power at 101 effects", timed(whole), in_r(R_DESIGN)),
        (
            "bounds at the information seen, 10,000 replicates",
            timed(lambda: recalculated(design, information, 240)),
            None,
        ),
        ("conditional power, 10,000 replicates", timed(lambda: conditional_power(bounds, 1, z, None)), None),
        ("predictive power, 10,000 replicates", timed(lambda: predictive_power(bounds, 1, z)), None),
        ("Holm and Hochberg, five arms, 10,000 replicates", timed(lambda: (holm(p), hochberg(p))), None),
        ("Dunnett, five arms, 10,000 replicates", timed(lambda: dunnett(t, np.ones(5), df, 2)), None),
        (
            "MMRM, 240 patients, 5 visits, 10,000 replicates; one in R",
            timed(lambda: mmrm(*once)),
            in_r(R_MMRM),
        ),
        ("MMRM with missed visits, 1,000 replicates", timed(lambda: mmrm(*fewer)), None),
    ]
    print(f"{'task':60s}{'stemtrial s':>12s}{'R s':>10s}")
    for name, ours, theirs in rows:
        print(f"{name:60s}{ours:12.3f}{'-' if theirs is None else f'{theirs:.3f}':>10s}")


if __name__ == "__main__":
    main()
