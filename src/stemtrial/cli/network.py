"""The ``evidence network`` and ``evidence benefit-harm`` verbs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemtrial.cli.output import command_line, print_json, tables
from stemtrial.errors import InputError, Problem

if TYPE_CHECKING:
    from stemtrial.evidence import Evidence
    from stemtrial.evidence.synthesis import Effect

Words = list[str] | None
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the page, figures (SVG) and data.")]
Also = Annotated[Path | None, typer.Option(help="Folder with your own rows, beside the shipped.")]
KNOTS = (1.0, 3.0, 6.0, 12.0, 24.0)


def network(
    indication: Annotated[str, typer.Option(help="knee_oa, …")],
    outcome: Annotated[str, typer.Option(help="pain or function.")],
    months: Annotated[list[float], typer.Option(help="Visit wanted; with --course several may be given.")],
    window: Annotated[
        float, typer.Option(min=0, help="Months to either side in which a visit counts.")
    ] = 2.0,
    course: Annotated[
        bool, typer.Option("--course", help="All visits together, as a course over time.")
    ] = False,
    reference: Annotated[str, typer.Option(help="Node that effects are given against.")] = "placebo",
    scheme: Annotated[str, typer.Option(help="product_class, product or all_cells.")] = "product_class",
    unblinded: Annotated[Words, typer.Option(help="Blinding that gets a bias term [open].")] = None,
    randomised_only: Annotated[
        bool, typer.Option("--randomised-only", help="Randomised trials only.")
    ] = False,
    dose: Annotated[
        bool,
        typer.Option("--dose", help="Let the effect of expanded cells change with the logarithm of dose."),
    ] = False,
    correlation: Annotated[float, typer.Option(help="Of baseline with follow-up.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Of all random draws.")] = 1,
    draws: Annotated[int, typer.Option(min=4, help="Draws kept of each of four chains.")] = 500,
    warmup: Annotated[int | None, typer.Option(min=1, help="Steps before [1500; course 4000].")] = None,
    thin: Annotated[int | None, typer.Option(min=1, help="Steps between draws [10; course 40].")] = None,
    also: Also = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Compare all treatments through a Bayesian network, at one visit or over time."""
    from stemtrial.evidence.armdata import network_data
    from stemtrial.evidence.hierarchy import WEAK
    from stemtrial.evidence.metaanalysis import important_difference
    from stemtrial.evidence.plain import plain
    from stemtrial.evidence.sampling import Sampler
    from stemtrial.evidence.scope import of_the_user
    from stemtrial.evidence.synthesis import synthesise
    from stemtrial.report.networkpage import network_page, review

    if dose and scheme != "product_class":
        raise InputError(Problem("goes with --scheme product_class only", field="--dose", value=scheme))
    if not course and len(months) > 1:
        raise InputError(Problem("takes one value", field="--months", hint="add --course for several months"))
    evidence = tables(also)
    opened = tuple(unblinded or ("open",))
    data = network_data(
        evidence,
        indication=indication,
        construct=outcome,
        scheme=scheme,  # type: ignore[arg-type]  # checked by the library
        rules=_rules(correlation),
        unblinded=opened,
        by_dose=dose,
        randomised_only=randomised_only,
    )
    users = of_the_user(evidence, (*(row.trial_id for row in data.comparisons), *dict(data.left_out)))
    at = {} if course else {"month": months[0], "window": (max(0.01, months[0] - window), months[0] + window)}
    usual = (4000, 40) if course else (1500, 10)
    sampler = Sampler(seed=seed, draws=draws, warmup=warmup or usual[0], thin=thin or usual[1])
    typer.echo("sampling …", err=True)
    fitted = synthesise(
        data,
        priors=WEAK,
        sampler=sampler,
        reference=reference,
        knots=KNOTS if course else None,
        dose_node="cells_expanded" if dose else None,
        **at,  # type: ignore[arg-type]
    )
    found = review(fitted, indication=indication, outcome=outcome, months=months)
    difference = important_difference(indication, outcome)
    mcid = difference.value if difference else None
    bends = f"all, bends at months {', '.join(f'{knot:g}' for knot in KNOTS)}"
    visits = bends if course else f"month {months[0]:g} ± {window:g}"
    choices = [
        ("Model", fitted.method),
        ("Priors", "; ".join(f"{name} {value}" for name, value in plain(WEAK).items())),
        ("Nodes", scheme.replace("_", " ")),
        ("Visits", visits),
        ("Bias term for blinding", ", ".join(opened)),
        (
            "Dose of expanded cells",
            "slope on log10 dose, effects at 50 million" if dose else "not in the model",
        ),
        ("Correlation of baseline and follow-up", f"{correlation:g}"),
        ("Missing standard deviation", "median of the printed ones"),
        ("Trials", "randomised only" if randomised_only else "all with a comparator"),
        ("Sampler", "; ".join(f"{name} {value}" for name, value in plain(sampler).items())),
    ]
    document = {
        "evidence_hash": evidence.hash,
        "indication": indication,
        "outcome": outcome,
        "reference": reference,
        "choices": dict(choices),
        "convergence": plain(fitted.convergence),
        "effects": plain(found.effects),
        "coefficients": plain(fitted.coefficients()),
        "ranks": plain(found.ranks),
        "consistency": plain(found.consistency),
        "node_splits": plain(found.splits),
        "comparisons": plain(data.comparisons),
        "left_out": plain(data.left_out),
        "users": list(users),
    }
    if out is not None:
        from stemtrial.report.synthesispage import write

        write(out, network_page(found, evidence, command_line(), choices, mcid), document)
    if as_json:
        print_json(document)
        return
    from stemtrial.cli.network_view import print_network

    print_network(found, users, choices, evidence.hash, out)


def benefit_harm(
    indication: Annotated[str, typer.Option(help="knee_oa, …")],
    months: Annotated[float, typer.Option(help="Visit for the effect on pain.")] = 6.0,
    window: Annotated[
        float, typer.Option(min=0, help="Months to either side in which a visit counts.")
    ] = 2.0,
    option: Annotated[Words, typer.Option(help="Only these options: cells_autologous, nsaid, …")] = None,
    correlation: Annotated[float, typer.Option(help="Of baseline with follow-up.")] = 0.5,
    also: Also = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Set benefit on pain and harms of the options side by side, each harm with its time and source."""
    from stemtrial.evidence import benefitharm
    from stemtrial.evidence.eventrisk import event_risks
    from stemtrial.evidence.metaanalysis import important_difference
    from stemtrial.evidence.plain import plain
    from stemtrial.evidence.scope import of_the_user
    from stemtrial.report.benefitharmpage import benefit_harm_page
    from stemtrial.report.evidence_words import whose

    evidence = tables(also)
    spine = indication in ("disc_degeneration", "chronic_low_back_pain")
    asked = tuple(option or (name for name in benefitharm.OPTIONS if (name == "disc_cells") <= spine))
    effects, reasons = _effects(evidence, indication, months, window, correlation)
    found = benefitharm.benefit_harm(
        evidence, indication=indication, options=asked, effects=effects, baselines_per_1000={}
    )
    risks = event_risks(evidence, indication=indication)
    users = of_the_user(evidence, (t.trial_id for t in evidence.trials if t.indication == indication))
    difference = important_difference(indication, "pain")
    choices = [
        ("Effect on pain", "pairwise against saline, placebo, vehicle or sham: REML, Hartung-Knapp"),
        ("Visit", f"nearest to month {months:g} within ± {window:g}"),
        ("Effect on pain from reviews", "shipped table of pooled effects, nearest in time, oral placebo"),
        ("Harms from trials", "patients of arms added up within bands of time at risk; exact intervals"),
        ("Harms from the literature", "preferred row of each event of the shipped table"),
        *(("No pairwise effect", text) for text in reasons),
        *((("Rows of your own", whose(users)),) if users else ()),
    ]
    document = {
        "evidence_hash": evidence.hash,
        "indication": indication,
        "choices": [list(choice) for choice in choices],
        "users": list(users),
        "options": plain(found),
    }
    if out is not None:
        from stemtrial.report.synthesispage import write

        page = benefit_harm_page(
            found,
            risks,
            evidence,
            indication=indication,
            month=months,
            mcid=difference.value if difference else None,
            command=command_line(),
            choices=choices,
        )
        write(out, page, document)
    if as_json:
        print_json(document)
        return
    from stemtrial.cli.network_view import print_benefit_harm

    print_benefit_harm(found, indication, months, choices, evidence.hash, out)


def _rules(correlation: float) -> Any:
    from stemtrial.evidence.groups import Rules

    return Rules(
        basis="follow_up",
        strict=False,
        correlation=correlation,
        pair_correlation=0.5,
        missing_sd="median",
        shared_control="combine",
    )


def _effects(
    tables: "Evidence", indication: str, month: float, window: float, correlation: float
) -> "tuple[dict[str, list[Effect]], list[str]]":
    """Return effects on pain by option: pairwise against placebo where trials allow, else from reviews."""
    from stemtrial.evidence.metaanalysis import analyse
    from stemtrial.evidence.metarecord import Choices
    from stemtrial.evidence.networkdata import PLACEBO
    from stemtrial.evidence.scope import Scope
    from stemtrial.evidence.synthesis import Effect

    rules = _rules(correlation)
    how = Choices(method="REML", test="knha", prediction="test", level=0.95, rules=rules)
    asked: dict[str, dict[str, Any]] = {
        "cells_autologous": {"origin": ("autologous",)},
        "cells_donor": {"origin": ("allogeneic",)},
        "hyaluronic_acid": {"intervention": "hyaluronic_acid"},
        "corticosteroid": {"intervention": "corticosteroid"},
        "prp": {"intervention": "prp"},
    }
    found: dict[str, list[Effect]] = {}
    reasons = []
    for name, more in asked.items():
        try:
            scope = Scope(indication=indication, comparator=tuple(PLACEBO), **more)
            one = analyse(
                tables,
                scope=scope,
                outcome="pain",
                month=month,
                window=(max(0.0, month - window), month + window),
                choices=how,
            )
        except InputError as error:
            reasons.append(f"{name}: {error}")
            continue
        sides = [g for s in one.studies for g in (s.contrast.treated, s.contrast.control) if g]
        pooled = one.pooled
        method = "one trial" if pooled.k == 1 else "pairwise, REML, Hartung-Knapp"
        effect = Effect(
            name, "placebo_injection", month, pooled.estimate, pooled.se, pooled.ci, pooled.prediction,
            0.95, pooled.k, sum(g.n for g in sides), method, "ok",
        )  # fmt: skip
        found[name] = [effect]
    for name, treatment in (("nsaid", "oral_nsaid"), ("opioid", "opioid"), ("duloxetine", "duloxetine")):
        rows = [
            row
            for row in tables.effects
            if (row.treatment, row.outcome, row.effect_metric) == (treatment, "pain", "MD_0_100")
            and row.comparator == "oral_placebo"
            and row.indication
            in (indication, "osteoarthritis_any" if indication.endswith("_oa") else indication)
            and None not in (row.ci_low, row.ci_high, row.time_weeks)
        ]
        if rows:
            row = min(rows, key=lambda r: abs((r.time_weeks or 0.0) - month * 30.4375 / 7))
            weeks = (row.time_weeks or 0.0) * 7 / 30.4375
            found[name] = [
                Effect(
                    name, "oral_placebo", round(weeks, 1), row.value, None, (row.ci_low, row.ci_high), None,  # type: ignore[arg-type]
                    0.95, row.n_trials or 0, float(row.n_patients or 0), f"review: {row.reference_id}", "ok",
                )
            ]  # fmt: skip
    return found, reasons
