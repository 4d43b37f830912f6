"""The findings that a record can say are present or absent: diseases, signs, medicines and circumstances.

A finding that is in neither list is unknown. Nothing is inferred from silence.
"""

from collections.abc import Mapping
from typing import Final

FINDINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "joint": {
        "generalised_bone_marrow_oedema": "oedema of a whole condyle or of the tibial plateau on MRI",
        "significant_deformity": "significant deformity of the knee",
        "ligament_injury": "injury of a ligament of the knee on MRI",
        "meniscus_rupture": "rupture of a meniscus on MRI",
        "locking": "the knee locks, consistently",
        "catching": "the knee catches, consistently",
        "giving_way": "the knee gives way, consistently",
        "other_major_joint_oa_dominant": "osteoarthritis of another major joint matters more than this one",
        "rheumatoid_arthritis": "rheumatoid arthritis",
        "crystal_arthritis": "gout or another crystal arthritis",
        "septic_arthritis": "septic arthritis, now or before",
        "other_inflammatory_arthritis": "another inflammatory arthritis",
        "secondary_arthritis": "arthritis secondary to another disease or injury",
        "planned_lower_limb_surgery": "surgery of a leg is planned",
    },
    "spine": {
        "nerve_compression_radiculopathy": "radiculopathy from compression of a nerve",
        "predominantly_myofascial": "pain is mainly of muscles and fascia",
        "lumbar_vertebral_fracture": "fracture of a lumbar vertebra",
        "cauda_equina": "cauda equina syndrome",
        "spinal_infection": "infection of a disc or of the spine",
    },
    "infection": {
        "local_infection": "infection in or over the joint or disc to be treated",
        "other_knee_infection": "infection in or over the other knee",
        "systemic_infection": "systemic infection",
        "hepatitis_b": "hepatitis B, positive serology",
        "hepatitis_c": "hepatitis C, positive serology",
        "hiv": "HIV, positive serology",
        "htlv": "HTLV, positive serology",
        "cmv": "active cytomegalovirus infection, as the trial means it",
        "syphilis": "syphilis, positive serology",
    },
    "disease": {
        "malignancy": "malignant disease, active or under treatment",
        "previous_malignancy": "malignant disease in the past",
        "immune_deficiency": "immune deficiency",
        "coagulopathy": "disorder of coagulation",
        "significant_laboratory_abnormality": "a laboratory finding that the clinician judges significant",
        "uncontrolled_hypertension": "hypertension, not controlled",
        "uncontrolled_diabetes": "diabetes, not controlled",
        "autoimmune_disease": "autoimmune disease",
        "blood_disease": "serious disease of the blood",
        "kidney_disease": "serious disease of the kidney",
        "osteoporosis": "osteoporosis",
        "fibromyalgia": "fibromyalgia",
        "widespread_pain": "chronic widespread pain",
        "severe_depression_or_anxiety": "severe depression or anxiety",
        "substance_misuse": "misuse of alcohol or another substance, or addiction",
        "allergy_to_culture_components": "allergy to a component of the product (serum proteins, DMSO and so on)",
    },
    "medicine": {
        "anticoagulant": "takes an anticoagulant",
        "immunosuppressant": "takes an immunosuppressive medicine",
        "systemic_corticosteroid": "takes a systemic corticosteroid",
        "opioid": "takes an opioid",
        "nsaid": "takes an oral NSAID",
    },
    "circumstance": {
        "pregnant": "pregnant",
        "breastfeeding": "breastfeeding",
        "planning_pregnancy": "pregnancy planned within two years",
        "consent": "able and willing to give informed consent",
        "approved_product": "the product is approved for this use where the person is treated",
        "registered_regulated_trial": "the product is given in a registered trial under a regulator",
    },
}
"""Group → name → what it means when present."""

MEANINGS: Final[Mapping[str, str]] = {
    name: text for group in FINDINGS.values() for name, text in group.items()
}
"""Every finding and its meaning."""
