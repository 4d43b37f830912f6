"""The words that coded columns of the evidence tables may hold, as explained in ``data/README.md``."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from stemtrial.scales import Indication as Indication

Provenance = Literal["shipped", "user"]

ReadAs = Literal["primary", "abstract", "table_page", "review", "press_release", "registry", "mirror_copy"]
IdBasis = Literal["page", "bibliographic_index", "general_knowledge", "none"]

Design = Literal["rct", "nonrandomised_controlled", "single_arm"]
Blinding = Literal["double", "single", "open", "unclear"]
BlindingBasis = Literal["read", "title", "general_knowledge", "design", "not_read"]
Funding = Literal["industry", "public", "mixed", "unclear"]
RiskOfBias = Literal["low", "some", "high", "unclear"]

Role = Literal["experimental", "control"]
Intervention = Literal[
    "cell_therapy",
    "saline",
    "placebo",
    "sham_procedure",
    "vehicle",
    "hyaluronic_acid",
    "corticosteroid",
    "prp",
    "plasma",
    "exercise",
    "usual_care",
    "nsaid",
    "paracetamol",
    "surgery",
]
CellSource = Literal["bone_marrow", "adipose", "umbilical_cord", "placenta", "disc", "articular_cartilage"]
Origin = Literal["autologous", "allogeneic"]
Product = Literal[
    "culture_expanded",
    "bmac",
    "bmmnc",
    "svf",
    "mfat",
    "chondrocyte",
    "disc_cell",
    "hsc",
    "tissue_allograft",
]
SeverityScale = Literal["KL", "Pfirrmann", "other"]

Construct = Literal[
    "pain", "function", "global", "quality_of_life", "cartilage", "disc_structure", "biomarker"
]
ScaleKind = Literal["score", "percent", "physical", "ratio"]
Statistic = Literal[
    "mean",
    "median",
    "mean_change",
    "median_change",
    "percent",
    "difference_between_arms",
    "ratio_between_arms",
]
AnalysisSet = Literal["primary", "subset", "pooled_duplicate", "sensitivity"]
Reliability = Literal["high", "moderate", "low"]

EventCategory = Literal[
    "injection_site_pain",
    "joint_swelling",
    "infection",
    "serious_any",
    "neoplasm",
    "immune",
    "any_ae",
    "treatment_related",
    "withdrawal",
    "treatment_failure",
    "vascular",
    "other",
]

WideIndication = Literal[
    "knee_oa",
    "hip_oa",
    "hand_oa",
    "osteoarthritis_any",
    "disc_degeneration",
    "chronic_low_back_pain",
    "other",
]
EffectMetric = Literal[
    "SMD",
    "SMD_pre_post",
    "MD_0_100",
    "mean_change_0_100",
    "responder_proportion_20pct",
    "responder_proportion_30pct",
    "responder_proportion_50pct",
]
Certainty = Literal["high", "moderate", "low", "very_low"]
Severity = Literal["mild", "moderate", "serious"]
HarmMeasure = Literal["risk_percent", "rate_per_1000_py", "rr", "or", "hr", "rd_per_1000"]
HistoryCategory = Literal[
    "course",
    "placebo_response",
    "regression_to_mean",
    "variability",
    "correlation",
    "structure",
    "biomarker",
    "dropout",
    "trajectory",
    "reliability",
]
Interval = Literal["ci95", "iqr", "prediction"]
ThresholdKind = Literal[
    "mcid", "pass", "sdc", "substantial_benefit", "responder_rule", "pass_slope", "good_outcome"
]
CriterionKind = Literal["eligibility", "relative", "absolute_contraindication"]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names closest to a wrong one, for the end of an error message."""
    names = list(known)
    return ", ".join(get_close_matches(name, names, n=5, cutoff=0.4) or names[:5])
