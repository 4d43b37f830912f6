"""Variables of the exported data sets: names, labels, types and meanings, in the manner of CDISC ADaM."""

from collections.abc import Mapping

from stemtrial.trial.datasets import Dataset, Variable

PARAMETERS: Mapping[str, tuple[str, str]] = {
    "VAS": ("VAS", "Pain on a Visual Analogue Scale (0-100)"),
    "NRS": ("NRS", "Pain on a Numeric Rating Scale, as 0-100"),
    "WOMAC_pain": ("WOMACP", "WOMAC Pain (0-100)"),
    "WOMAC_function": ("WOMACF", "WOMAC Function (0-100)"),
}
"""Code and name of each instrument in ``ADQS``."""

_IDENTITY = (
    Variable("STUDYID", "Study Identifier", "text", "STEMTRIAL- and the first 8 digits of the trial's hash"),
    Variable("USUBJID", "Unique Subject Identifier", "text", "study, virtual trial, arm and number"),
)
_REPLICATE = Variable("REPL", "Virtual Trial (Replicate)", "integer", "number of the virtual trial, from 0")
_PLANNED = (
    Variable("TRTP", "Planned Treatment", "text", "arm of the trial file"),
    Variable("TRTPN", "Planned Treatment (N)", "integer", "1 the comparator, 2 the experimental arm"),
)
_SIMULATED = Variable("SIMFL", "Simulated Data Flag", "text", "always Y")

ADSL = Dataset(
    "ADSL",
    "Subject-Level Analysis (simulated)",
    (
        *_IDENTITY,
        Variable("SUBJID", "Subject Identifier for the Study", "text", "without the study"),
        _REPLICATE,
        Variable("ARM", "Description of Planned Arm", "text", "arm of the trial file"),
        Variable("ARMCD", "Planned Arm Code", "text", "A and the number of the arm"),
        Variable("TRT01P", "Planned Treatment for Period 01", "text", "arm of the trial file"),
        Variable(
            "TRT01PN", "Planned Treatment for Period 01 (N)", "integer", "1 the comparator, 2 the experimental arm"
        ),
        Variable("TRT01A", "Actual Treatment for Period 01", "text", "as planned"),
        Variable("TRT01AN", "Actual Treatment for Period 01 (N)", "integer", "as planned"),
        Variable("AGE", "Age", "number", "years"),
        Variable("AGEU", "Age Units", "text", "always YEARS"),
        Variable("SEX", "Sex", "text", "F or M"),
        Variable("BMIBL", "Baseline BMI (kg/m2)", "number"),
        Variable("GRADEBL", "Baseline Radiographic Grade", "integer", "Kellgren-Lawrence or Pfirrmann, by indication"),
        Variable("PAINBL", "Baseline Pain VAS (0-100)", "number", "reading at screening, higher is worse"),
        Variable("RANDFL", "Randomized Population Flag", "text", "always Y"),
        Variable("ITTFL", "Intent-To-Treat Population Flag", "text", "always Y"),
        Variable("SAFFL", "Safety Population Flag", "text", "always Y"),
        Variable("EOSSTT", "End of Study Status", "text", "COMPLETED or DISCONTINUED"),
        Variable("EOSDY", "Day of Last, or First Missed, Visit", "integer", "first missed visit of those who left"),
        Variable("RESCFL", "Rescue Medication Flag", "text", "Y from the visit at which it was begun"),
        Variable("RESCDY", "Rescue Medication Start Day", "integer", "day of the visit at which it was begun"),
        Variable("PINJFL", "Prohibited Injection Flag", "text", "Y or N, among those still seen"),
        Variable("PINJDY", "Prohibited Injection Day", "integer", "first visit by which it had happened"),
        Variable("SURGFL", "Surgery Flag", "text", "Y or N, among those still seen"),
        Variable("SURGDY", "Surgery Day", "integer", "first visit by which it had happened"),
        Variable("HARMFL", "Harms of All Treatments Published", "text",
                 "N where no published arm counts events of a treatment: its absence from ADAE means nothing"),
        _SIMULATED,
    ),
)  # fmt: skip

ADQS = Dataset(
    "ADQS",
    "Questionnaires Analysis (simulated)",
    (
        *_IDENTITY,
        _REPLICATE,
        *_PLANNED,
        Variable("PARAM", "Parameter", "text", "instrument, 0-100, higher is worse"),
        Variable("PARAMCD", "Parameter Code", "text"),
        Variable("PARAMN", "Parameter (N)", "integer"),
        Variable("AVISIT", "Analysis Visit", "text"),
        Variable("AVISITN", "Analysis Visit (Month)", "number"),
        Variable("ADY", "Analysis Relative Day", "integer", "month times 30.4375, plus 1"),
        Variable("AVAL", "Analysis Value", "number"),
        Variable("BASE", "Baseline Value", "number"),
        Variable("CHG", "Change from Baseline", "number", "AVAL - BASE, negative is better; empty at baseline"),
        Variable("PCHG", "Percent Change from Baseline", "number", "100 CHG / BASE; empty where BASE is 0"),
        Variable("ABLFL", "Baseline Record Flag", "text", "Y at baseline"),
        Variable(
            "DTYPE",
            "Derivation Type",
            "text",
            "after rescue or another intercurrent event. COMPOSITE: not improved, the worse of the reading and the "
            "baseline. LOCF: the last reading before the event",
        ),
        Variable("CRIT1FL", "Improved by the MCID", "text",
                 "Y or N; empty at baseline and where no important difference is on record"),
        Variable("CRIT2FL", "Improved by 30 Percent", "text", "Y or N; empty at baseline"),
        Variable("CRIT3FL", "Improved by 50 Percent", "text", "Y or N; empty at baseline"),
        Variable("ANL01FL", "Record of the Estimand at its Visit", "text", "Y after baseline"),
        Variable("ANL02FL", "Record of the Primary Analysis", "text",
                 "Y: main comparison, instrument and visit (all visits for a mixed model), with all patients"),
        _SIMULATED,
    ),
)  # fmt: skip

ADAE = Dataset(
    "ADAE",
    "Adverse Events Analysis (simulated)",
    (
        *_IDENTITY,
        _REPLICATE,
        *_PLANNED,
        Variable("AESEQ", "Sequence Number", "integer", "within the subject"),
        Variable("AETERM", "Reported Term for the Adverse Event", "text", "category of the evidence"),
        Variable("AEDECOD", "Dictionary-Derived Term", "text", "category of the evidence, in capitals"),
        Variable("AESER", "Serious Event", "text", "Y where the category counts serious events; otherwise unknown"),
        Variable("AETRT", "Treatment to which the Risk Belongs", "text"),
        Variable("TRTEMFL", "Treatment Emergent Analysis Flag", "text", "always Y"),
        Variable("ASTDY", "Analysis Start Relative Day", "integer", "empty: published counts have no days"),
        Variable("AESRC", "Source of the Simulated Risk", "text", "published counts behind the risk"),
        _SIMULATED,
    ),
)  # fmt: skip
