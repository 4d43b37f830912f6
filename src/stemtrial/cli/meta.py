"""The ``evidence meta`` verb: pairwise synthesis of a score or of an adverse event."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli.output import command_line, one_format, print_csv, print_json, tables
from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.evidence import Evidence
    from stemtrial.evidence.scope import Scope

Words = list[str] | None


def meta(
    indication: Annotated[str, typer.Option(help="knee_oa, hip_oa, disc_degeneration, …")],
    outcome: Annotated[str, typer.Option(help="pain, function, …, or harm.")],
    comparator: Annotated[
        Words, typer.Option(help="saline, placebo, hyaluronic_acid, …; several are taken as one.")
    ] = None,
    months: Annotated[float | None, typer.Option(help="Visit wanted, months after treatment.")] = None,
    window: Annotated[
        float, typer.Option(min=0, help="Months to either side in which a visit counts.")
    ] = 2.0,
    event: Annotated[
        str | None, typer.Option(help="For harm: a category (serious_any, …) or an event by name.")
    ] = None,
    method: Annotated[str, typer.Option(help="REML, DL, PM, ML, or EE (equal effects).")] = "REML",
    test: Annotated[str, typer.Option(help="knha (Hartung-Knapp), z, t, adhoc.")] = "knha",
    prediction: Annotated[
        str, typer.Option(help="test (as the interval), or riley (k - 2 degrees).")
    ] = "test",
    basis: Annotated[str, typer.Option(help="follow_up levels or change from baseline.")] = "follow_up",
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave out trials with the other kind only.")
    ] = False,
    correlation: Annotated[float, typer.Option(help="Of baseline with follow-up.")] = 0.5,
    pair_correlation: Annotated[float, typer.Option(help="Of the two knees of one person.")] = 0.5,
    missing_sd: Annotated[str, typer.Option(help="median (impute, flagged) or drop (the trial).")] = "median",
    shared_control: Annotated[
        str, typer.Option(help="Several treated arms: combine, or split the control.")
    ] = "combine",
    moderator: Annotated[
        Words, typer.Option(help="Meta-regression: dose, source, origin, product, blinding, follow_up.")
    ] = None,
    subgroup: Annotated[Words, typer.Option(help="Subgroups by one of the same.")] = None,
    product: Annotated[Words, typer.Option(help="Only these cells: culture_expanded, bmac, svf, …")] = None,
    origin: Annotated[Words, typer.Option(help="Only these cells: autologous, allogeneic.")] = None,
    source: Annotated[Words, typer.Option(help="Only these cells: bone_marrow, adipose, …")] = None,
    blinding: Annotated[Words, typer.Option(help="Only these trials: double, single, open, unclear.")] = None,
    exclude_high_risk: Annotated[
        bool, typer.Option("--exclude-high-risk", help="Leave out trials at high risk of bias.")
    ] = False,
    risk_of_bias: Annotated[
        Words, typer.Option(metavar="TRIAL=RISK", help="Your own judgement: low, some, high, unclear.")
    ] = None,
    indirect: Annotated[
        Words,
        typer.Option(help="What differs from your question: population, product, dose, comparator, outcome."),
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Folder with your own tables in place of the shipped.")
    ] = None,
    also: Annotated[Path | None, typer.Option(help="Folder with your own rows, beside the shipped.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page, figures (SVG) and data.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the studies as CSV and nothing else.")] = False,
) -> None:
    """Pool the trials of cells against a comparator: a score at a visit, or an adverse event.

    Differences are cells minus comparator on 0-100, lower is better.
    """
    from stemtrial.evidence import load
    from stemtrial.evidence.scope import Scope, judged

    one_format(as_json, as_csv)
    if (outcome == "harm") != (event is not None):
        raise InputError(
            Problem(
                "go together",
                field="--outcome harm and --event",
                hint="name what to count, for instance --outcome harm --event serious_any",
            )
        )
    if outcome != "harm" and (months is None or not comparator):
        missing = "--months" if months is None else "--comparator"
        raise InputError(
            Problem("is needed", field=missing, hint="for instance --comparator saline --months 6")
        )
    if evidence is not None and also is not None:
        hint = "--evidence stands in place of the shipped tables, --also beside them"
        raise InputError(Problem("exclude each other", field="--evidence and --also", hint=hint))
    rows = judged(load(evidence) if evidence else tables(also), _judgements(risk_of_bias or []))
    scope = Scope(
        indication=indication,
        comparator=tuple(comparator or ()),
        product=tuple(product or ()),
        origin=tuple(origin or ()),
        source=tuple(source or ()),
        blinding=tuple(blinding or ()),
        exclude_high_risk=exclude_high_risk,
    )
    if event is not None:
        _events(rows, scope, event, shared_control, out, as_json, as_csv)
        return
    from stemtrial.evidence.groups import Rules
    from stemtrial.evidence.metaanalysis import analyse
    from stemtrial.evidence.metarecord import Choices
    from stemtrial.evidence.plain import document

    assert months is not None
    found = analyse(
        rows,
        scope=scope,
        outcome=outcome,
        month=months,
        window=(max(0.0, months - window), months + window),
        choices=Choices(
            method=method,  # type: ignore[arg-type]  # checked by the library
            test=test,  # type: ignore[arg-type]
            prediction=prediction,  # type: ignore[arg-type]
            level=0.95,
            rules=Rules(
                basis=basis,  # type: ignore[arg-type]
                strict=strict,
                correlation=correlation,
                pair_correlation=pair_correlation,
                missing_sd=missing_sd,  # type: ignore[arg-type]
                shared_control=shared_control,  # type: ignore[arg-type]
            ),
        ),
        moderators=tuple(moderator or ()),
        by=tuple(subgroup or ()),
    )
    from stemtrial.evidence.plain import plain
    from stemtrial.evidence.rating import rate
    from stemtrial.report.evidence_words import either, words

    certainty = rate(
        found,
        treatment=words(scope.intervention),
        comparator=either(scope.comparator),
        indirect=tuple(indirect or ()),  # type: ignore[arg-type]
    )
    data = document(found) | {"certainty": plain(certainty)}
    if out is not None:
        from stemtrial.report.metapage import meta_page
        from stemtrial.report.synthesispage import write

        write(out, meta_page(found, rows, command_line(), certainty), data)
    if as_json:
        print_json(data)
    elif as_csv:
        from stemtrial.cli.meta_view import study_rows

        print_csv(study_rows(found))
    else:
        from stemtrial.cli.meta_view import print_synthesis

        print_synthesis(found, certainty, out)


def _events(
    evidence: "Evidence",
    scope: "Scope",
    event: str,
    shared: str,
    out: Path | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    from stemtrial.evidence.eventsynthesis import synthesise_events
    from stemtrial.evidence.plain import plain

    found = synthesise_events(evidence, scope=scope, event=event, shared_control=shared, level=0.95)  # type: ignore[arg-type]
    if out is not None:
        from stemtrial.report.eventpage import event_page
        from stemtrial.report.synthesispage import write

        write(out, event_page(found, evidence, command_line()), plain(found))
    if as_json:
        print_json(plain(found))
    elif as_csv:
        from stemtrial.cli.meta_view import event_rows

        print_csv(event_rows(found))
    else:
        from stemtrial.cli.meta_view import print_events

        print_events(found, out)


def _judgements(given: list[str]) -> dict[str, Any]:
    """Split TRIAL=RISK."""
    wrong = [text for text in given if text.count("=") != 1]
    if wrong:
        raise InputError(
            *(
                Problem("is not TRIAL=RISK", field="--risk-of-bias", value=text, hint="e.g. lee_2019=low")
                for text in wrong
            )
        )
    return dict(text.split("=") for text in given)
