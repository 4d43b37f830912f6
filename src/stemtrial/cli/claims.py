"""The ``claims`` verb: promises held against the evidence."""

from pathlib import Path
from typing import Annotated

import typer

from stemtrial.cli.output import command_line, print_json, tables


def claims(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CLAIM]...", help="Shipped claims by name, or claim files; all shipped if none."
        ),
    ] = None,
    also: Annotated[Path | None, typer.Option(help="Folder with your own rows, beside the shipped.")] = None,
    replicates: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Virtual trials of the model beside parts that name a design."),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the virtual trials.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder for an overview and a page for each claim.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Hold promises made for the therapy against the evidence, each by a fixed rule.

    Supported: probability at least 0.95 and certainty at least moderate; contradicted: at most 0.05 and at
    least moderate; else uncertain. Virtual trials stand beside a verdict and never enter it.
    """
    from stemtrial.claims.assessing import assess, document
    from stemtrial.claims.claim import find

    asked = find(tuple(names or ()))
    evidence = tables(also)
    found = [assess(name, claim, evidence, replicates=replicates, seed=seed) for name, claim in asked.items()]
    if out is not None:
        from stemtrial.report.claimspage import write_claims

        write_claims(out, found, evidence, command_line())
    if as_json:
        print_json({"evidence_hash": evidence.hash, "claims": [document(each) for each in found]})
        return
    from stemtrial.cli.claims_view import print_claims

    print_claims(found, out)
