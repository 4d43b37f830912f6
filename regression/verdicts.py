"""Write regression/verdicts.json: the shipped verdicts with the hashes of the evidence and of the rule behind them.

    python regression/verdicts.py

A verdict may change only with one of its hashes; say so in the changelog under **Numbers changed**.
"""

import json
from pathlib import Path
from typing import Any

from stemtrial.claims.assessing import Assessment, assess
from stemtrial.claims.claim import shipped
from stemtrial.claims.estimating import Estimate
from stemtrial.evidence import load

STORED = Path(__file__).parent / "verdicts.json"


def verdict(found: Assessment) -> dict[str, Any]:
    """Return what is pinned of a verdict."""
    return {
        "evidence_hash": found.evidence_hash,
        "rule_hash": found.rule_hash,
        "verdict": found.verdict,
        "p": [round(p, 9) for p in found.judged.p],
        "certainty": found.judged.certainty,
        "parts": {
            result.name: [round(x, 9) for x in (result.found.value, *result.found.interval, result.found.p)]
            if isinstance(result.found, Estimate)
            else result.found.reason
            for result in found.parts
        },
        "smallest_trials": {
            result.name: {change.towards: change.persons for change in result.changes}
            for result in found.parts
        },
    }


def everything() -> dict[str, dict[str, Any]]:
    """Return every shipped verdict."""
    return {name: verdict(assess(name, claim, load())) for name, claim in shipped().items()}


if __name__ == "__main__":
    STORED.write_text(json.dumps(everything(), indent=1) + "\n", encoding="utf-8")
