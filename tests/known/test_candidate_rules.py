"""The language of eligibility rules: the shipped table, three-valued logic, and what is refused."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.candidate.conditions import AtMost
from stemtrial.candidate.findings import MEANINGS
from stemtrial.candidate.quantities import QUANTITIES
from stemtrial.candidate.record import Candidate
from stemtrial.candidate.rules import State, parse
from stemtrial.errors import InputError
from stemtrial.evidence import load

RULES = sorted({row.rule for row in load().criteria})
MET, NOT_MET, UNKNOWN = State.MET, State.NOT_MET, State.UNKNOWN


@pytest.mark.parametrize("text", RULES)
def test_every_shipped_rule_is_read_and_its_names_are_documented(text):
    for name, kind in parse(text).kinds.items():
        assert QUANTITIES[name].kind == kind
        assert QUANTITIES[name].meaning


def test_every_name_leads_to_fields_of_the_record_and_none_is_idle():
    used = {name for text in RULES for name in parse(text).kinds}
    assert used == set(QUANTITIES)
    fields = {field for quantity in QUANTITIES.values() for field in quantity.fields}
    assert fields <= set(MEANINGS) | set(Candidate.model_fields)


# Kleene's strong tables, written out: rows and columns true, false, unknown.
AND = {(True, True): True, (True, False): False, (True, None): None, (False, False): False, (False, None): False,
       (None, None): None}  # fmt: skip
OR = {(True, True): True, (True, False): True, (True, None): True, (False, False): False, (False, None): None,
      (None, None): None}  # fmt: skip
STATE = {True: MET, False: NOT_MET, None: UNKNOWN}


@pytest.mark.parametrize(("a", "b"), list(product((True, False, None), repeat=2)))
def test_connectives_follow_the_published_tables(a, b):
    def judged(text):
        return parse(f"include_if {text}").judge({"a": a, "b": b}.get).state

    def looked_up(table):
        return STATE[table[a, b] if (a, b) in table else table[b, a]]

    assert judged("a and b") is looked_up(AND)
    assert judged("a or b") is looked_up(OR)
    assert judged("not a") is STATE[None if a is None else not a]
    assert parse("exclude_if a").judge({"a": a}.get).state is STATE[None if a is None else not a]


def _formula(names):
    """Formulas in which every name occurs once, as text and as a function of known values."""
    if len(names) == 1:
        (only,) = names
        return st.sampled_from([(only, lambda v: v[only]), (f"not {only}", lambda v: not v[only])])
    half = len(names) // 2

    def joined(parts):
        (left, f), (right, g), word = parts
        if word == "and":
            return f"({left}) and ({right})", lambda v: f(v) and g(v)
        return f"({left}) or ({right})", lambda v: f(v) or g(v)

    return st.tuples(_formula(names[:half]), _formula(names[half:]), st.sampled_from(["and", "or"])).map(
        joined
    )


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            _formula([f"n{i}" for i in range(n)]),
            st.lists(st.sampled_from([True, False, None]), min_size=n, max_size=n),
        )
    )
)
def test_unknown_is_said_exactly_where_the_missing_values_decide(case):
    (text, truth), values = case
    known = {f"n{i}": value for i, value in enumerate(values)}
    unknown = [name for name, value in known.items() if value is None]
    completions = [
        known | dict(zip(unknown, filled, strict=True))
        for filled in product((True, False), repeat=len(unknown))
    ]
    possible = {bool(truth(completion)) for completion in completions}
    judged = parse(f"include_if {text}").judge(known.get)
    assert judged.state is (STATE[possible.pop()] if len(possible) == 1 else UNKNOWN)
    deciding = {
        name
        for name in unknown
        if any(bool(truth(c | {name: True})) != bool(truth(c | {name: False})) for c in completions)
    }
    assert judged.open == (deciding if judged.state is UNKNOWN else set())


@pytest.mark.parametrize(
    ("text", "values", "state"),
    [
        ("include_if 35 <= vas <= 90", {"vas": 35.0}, MET),
        ("include_if 35 <= vas <= 90", {"vas": 90.1}, NOT_MET),
        ("include_if 3 <= vas < 8", {"vas": 8.0}, NOT_MET),
        ("include_if 35 <= vas <= 90", {}, UNKNOWN),
        ("include_if kl in {2,3}", {"kl": 3}, MET),
        ("include_if kl in {2,3}", {"kl": 4}, NOT_MET),
        ("exclude_if modic == 3", {"modic": 3}, NOT_MET),
        ("exclude_if leg > 0.5*back", {"leg": 31.0, "back": 60.0}, NOT_MET),
        ("exclude_if leg > 0.5*back", {"leg": 30.0, "back": 60.0}, MET),
        ("exclude_if leg > 0.5*back", {"leg": 30.0}, UNKNOWN),
        ("exclude_if alt > 100 or ast > 100", {"alt": 140.0}, NOT_MET),
        ("exclude_if alt > 100 or ast > 100", {"alt": 40.0}, UNKNOWN),
        ("exclude_if drug >= 1 and food >= 2", {"drug": 0}, MET),
        ("exclude_if since < 3", {"since": float("inf")}, MET),
        ("exclude_if since < 3", {"since": AtMost(2.0)}, NOT_MET),
        ("exclude_if since < 3", {"since": AtMost(40.0)}, UNKNOWN),
        ("include_if since >= 3", {"since": AtMost(2.0)}, NOT_MET),
        ("include_if since in {2,3}", {"since": AtMost(2.0)}, UNKNOWN),
    ],
)
def test_comparisons(text, values, state):
    judged = parse(text).judge(values.get)
    assert judged.state is state
    assert bool(judged.open) is (state is UNKNOWN)


@pytest.mark.parametrize(
    ("text", "values", "against"),
    [
        ("include_if 20 <= bmi <= 30", {"bmi": 33.0}, (("bmi", 30.0),)),
        ("include_if 20 <= bmi <= 30", {"bmi": 19.0}, (("bmi", 20.0),)),
        ("include_if kl in {1,2,3}", {"kl": 4}, (("kl", 3.0),)),
        ("exclude_if a or b", {"a": True, "b": False}, (("a", None),)),
        ("exclude_if not (a or b)", {"a": False, "b": False}, (("a", None), ("b", None))),
        ("exclude_if bmi > 35", {"bmi": 30.0}, ()),
    ],
)
def test_what_a_rule_fails_on(text, values, against):
    assert parse(text).against(values.get) == against


@pytest.mark.parametrize(
    "text",
    [
        "", "age > 3", "include_if", "include_if 3", "include_if age >", "include_if age > 3 4", "include_if (a",
        "include_if a and", "include_if a or or b", "include_if not not a", "include_if a.b", "include_if a[0]",
        "include_if __import__('os').system('true')",
        "include_if a if b else c", "include_if lambda: 1", "include_if a = 3",
        "include_if a != 3", "include_if x in {}", "include_if x in {1,}", "include_if x in {a}", "include_if x in 3",
        "include_if a and a > 3", "include_if a * b", "include_if (a > 3) < 2", "include_if 3x > 2", "include_if A",
        "include_if " + "(" * 40 + "a" + ")" * 40, "include_if " + " and ".join(f"a{i}" for i in range(200)),
        "include_if a; b", "include_if a\x00b", "include_if 1e400 < a",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_one_message(text):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert "rule" in str(caught.value)
