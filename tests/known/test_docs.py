"""The documentation says what the package does: examples run, outputs are real, lists are complete."""

import doctest
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

import stemtrial
from command import here
from stemtrial.cli import app
from stemtrial.evidence.tables import ROWS
from stemtrial.mechanism import equations
from stemtrial.mechanism.inputs import INPUT_CONSTANTS
from stemtrial.mechanism.parameters import registry
from stemtrial.mechanism.treatments import TREATMENTS
from stemtrial.trial.protocol import Trial

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "stemtrial"
MODULES = sorted(m.name for m in pkgutil.walk_packages(stemtrial.__path__, "stemtrial."))
PUBLIC = [name for name in MODULES if "._" not in name]


def _script(name):
    """Load a script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate, outputs = _script("generate"), _script("outputs")
PAGES = outputs.PAGES


def _named(path):
    return str(path.relative_to(ROOT))


def _filled(page):
    return generate.fill((DOCS / page).read_text(encoding="utf-8"))


# ---- examples ----------------------------------------------------------------------------------------------------


def _failures(tests):
    """Return the report of every failed example, and how many were tried."""
    found, tried = [], 0
    for test in tests:
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=found.append)
        tried += result.attempted
    return "".join(found), tried


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    text, _ = _failures(doctest.DocTestFinder().find(importlib.import_module(name)))
    assert not text, text


@pytest.mark.parametrize("page", [p for p in PAGES if ">>>" in p.read_text(encoding="utf-8")], ids=_named)
def test_python_examples_of_pages(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    example = doctest.DocTestParser().get_doctest(
        page.read_text(encoding="utf-8"), {}, page.name, str(page), 0
    )
    text, tried = _failures([example])
    assert not text, text
    assert tried


CALL = re.compile(r"stemtrial (?P<words>[^|>&]*?)(?P<both> 2>&1)?(?P<rest> [|>] .*)?")


def _printed(command, folder):
    """What a command prints, as of the shell, but with the command line in this process."""
    if (call := CALL.fullmatch(command)) is None:
        return outputs.printed_by(command, folder)
    done = here(*shlex.split(call["words"]), cwd=folder, env={"COLUMNS": "100", "NO_COLOR": "1"})
    text = done.stdout + (done.stderr if call["both"] else "")
    if call["rest"]:
        shell = f"cat{call['rest']}"
        return outputs.tidy(
            command, subprocess.check_output(shell, shell=True, text=True, cwd=folder, input=text), folder
        )
    return outputs.tidy(command, text + (done.stderr if done.returncode and not call["both"] else ""), folder)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if outputs.BLOCK.search(p.read_text(encoding="utf-8"))], ids=_named
)
def test_shown_output_is_what_the_commands_print(page):
    for command, shown, printed in outputs.rerun(page, _printed):
        assert outputs.same(shown, printed), f"$ {command}\n{printed}\nrun: python docs/outputs.py"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("│ -13.6 (-29.2 │\n│ to -3.0) │ 47 % │", "│ -13.6 (-29.1 to -3.0) │ 48 % │", True),
        ("-13.6", "-13.8", False),
        ("power 23 %", "assurance 23 %", False),
        ("n = 120", "n = 120, 120", False),
        ("sha256 7e019e06963b", "sha256 7e019e06963c", False),
    ],
)
def test_comparison_of_outputs_can_tell_them_apart(shown, printed, same):
    assert outputs.same(shown, printed) is same


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("knee_oa_*.yaml")), ids=_named)
def test_examples_are_valid_trials(path):
    assert Trial.read(path).n > 0


# ---- docstrings --------------------------------------------------------------------------------------------------


def _objects():
    """Yield every public function, class and method that a public module defines, with its name."""
    for name in PUBLIC:
        module = importlib.import_module(name)
        for attribute, value in vars(module).items():
            value = getattr(value, "py_func", value)
            if attribute.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isfunction(value):
                yield f"{name}.{attribute}", value
            elif inspect.isclass(value):
                yield f"{name}.{attribute}", value
                for method, member in vars(value).items():
                    function = getattr(member, "fget", None) or getattr(member, "func", None)
                    function = function or getattr(member, "__func__", member)
                    if inspect.isfunction(function) and not (
                        method.startswith("_") or function.__name__.startswith("_")
                    ):
                        yield f"{name}.{attribute}.{method}", function


def _accepted(thing):
    """Names that a function, a class or a record can be given."""
    fields = set(getattr(thing, "model_fields", ())) | set(getattr(thing, "__dataclass_fields__", ()))
    return fields | set(inspect.signature(thing).parameters)


def test_everything_public_has_a_docstring():
    missing = [name for name, thing in _objects() if not (thing.__doc__ or "").strip()]
    assert not missing
    assert all(importlib.import_module(name).__doc__ for name in PUBLIC)


def test_parameters_sections_name_real_parameters():
    wrong = {
        name: unknown
        for name, thing in _objects()
        if (unknown := [p for p in generate.meanings(thing) if p not in _accepted(thing)])
    }
    assert not wrong
    assert sum(bool(generate.meanings(thing)) for _, thing in _objects()) > 50


# ---- commands ----------------------------------------------------------------------------------------------------


def _code(text):
    """Yield the lines of indented and fenced code."""
    yield from re.findall(r"^(?: {4,}|\$ )(.*)$", text, re.M)
    yield from re.findall(r"`([^`\n]+)`", text)


TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md"]


def test_commands_exist_with_their_options():
    checked = 0
    for page in TEXTS:
        for line in _code(page.read_text(encoding="utf-8")):
            for call in re.findall(r"(?:^|[\s/])stemtrial((?: [a-z][a-z-]*)+(?: [^|>#]*)?)", line):
                command, words = get_command(app), call.split()
                while words and words[0] in getattr(command, "commands", {}):
                    command = command.commands[words.pop(0)]
                assert not hasattr(command, "commands") or not words, f"{_named(page)}: {line}"
                known = {option for p in command.params for option in p.opts} | {"--help"}
                assert {word for word in words if word.startswith("--")} <= known, f"{_named(page)}: {line}"
                checked += 1
    assert checked > 20


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in TEXTS:
        for line in _code(page.read_text(encoding="utf-8")):
            assert set(re.findall(r"^make (\w+)", line)) <= targets, f"{_named(page)}: {line}"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=_named)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    linked = re.findall(r"\]\(((?!https?:)[^)#]+)\)", text)
    named = re.findall(r"`((?:src|tests|docs|examples|regression)/[\w./-]+)`", text)
    for path in [*linked, *named]:
        assert (ROOT / path).exists() or path in {"docs/_build", "regression/baseline.json"}, path


# ---- lists that must be complete ---------------------------------------------------------------------------------


def test_every_constant_is_listed():
    page = _filled("reference/parameters.md")
    assert [symbol for symbol in registry() if f"| `{symbol}` |" not in page] == []
    treatments = (DOCS / "theory" / "treatments.md").read_text(encoding="utf-8")
    assert [symbol for symbol in INPUT_CONSTANTS if f"`{symbol}`" not in treatments] == []


def test_every_state_stands_in_the_equations():
    page = (DOCS / "theory" / "model.md").read_text(encoding="utf-8")
    assert [
        s for s in equations.STATES if rf"\frac{{d{s}}}{{dt}}" not in page or f"| ${s}$ |" not in page
    ] == []


def test_every_field_of_a_trial_file_is_explained():
    page = _filled("how-to/trial-file.md")
    kinds = {kind for kind in TREATMENTS.values() if kind.model_fields}
    todo, fields = [Trial], set()
    while todo:
        kind = todo.pop()
        for name, info in kind.model_fields.items():
            fields.add(name)
            inner = [k for k in kinds if "AnyTreatment" in str(info) or name == "treatments"]
            found = re.findall(r"'?stemtrial\.([\w.]+)\.(\w+)'?", str(info.annotation))
            inner += [getattr(importlib.import_module(f"stemtrial.{m}"), k) for m, k in found]
            todo += [k for k in inner if hasattr(k, "model_fields") and k not in todo]
    assert len(fields) > 25
    for name in fields:
        row = re.search(rf"^\| `{name}` \|(.*)\|(.*)\|", page, re.M)
        assert row, name
        assert all(cell.strip() for cell in row[0].split("|")[1:4]), row[0]


def test_every_evidence_column_is_listed():
    page = _filled("reference/evidence-tables.md")
    for table, kind in ROWS.items():
        section = page.partition(f"### {table}.csv\n\n")[2] if page.count(f"### {table}.csv") == 1 else page
        assert [c for c in kind.columns() if f"| `{c}` |" not in section] == []


def test_every_public_module_is_in_the_reference():
    layers = [
        m[2]
        for page in (DOCS / "reference" / "api").glob("*.md")
        for m in generate.MARKER.finditer(page.read_text())
    ]
    documented = [name for layer in layers if layer for name in generate.public_modules(f"stemtrial.{layer}")]
    assert sorted(documented) == PUBLIC


def test_files_and_keys_of_a_run_are_documented(tmp_path):
    run = tmp_path / "run"
    example = ROOT / "examples" / "knee_oa_cells_vs_saline.yaml"
    done = here("simulate", example, "--replicates", 2, "--seed", 1, "--out", run, "--patients")
    assert done.returncode == 0, done.stderr
    page = (DOCS / "reference" / "run-folder.md").read_text(encoding="utf-8")
    files, summary, manifest = re.split(r"^## .*$", page, flags=re.M)

    def keys(section):
        cells = re.findall(r"^\| (`.*?) \|", section, re.M)
        return {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}

    assert keys(files) == {path.name for path in run.iterdir()}
    content = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    arm = {f"arms.{{name}}.{key}" for key in content["arms"]["cells"]} - {"arms.{name}.change"}
    assert keys(summary) == (set(content) - {"arms"}) | arm | {"arms.{name}.change.{month}"}
    assert keys(manifest) == set(json.loads((run / "manifest.json").read_text(encoding="utf-8")))


# ---- words -------------------------------------------------------------------------------------------------------

NEVER = re.compile(
    r"\b(regenerat(e|es|ed|ing)|cur(e|es|ed|ing|ative)|proven|success rates?|breakthroughs?)\b", re.I
)
SPOKEN = [*TEXTS, ROOT / "CHANGELOG.md", ROOT / "CITATION.cff", ROOT / "pyproject.toml",
          *sorted((PACKAGE / "report").glob("**/*.j2")), *sorted((PACKAGE / "report").glob("*.py")),
          *sorted((PACKAGE / "cli").glob("*.py"))]  # fmt: skip


@pytest.mark.parametrize("path", SPOKEN, ids=_named)
def test_words_never_used_of_cells(path):
    assert [found[0] for found in NEVER.finditer(path.read_text(encoding="utf-8"))] == []


def test_such_words_would_be_found():
    assert (
        len(
            NEVER.findall(
                "Cells regenerate cartilage: a proven cure, a breakthrough with a success rate of 90 %"
            )
        )
        == 5
    )


@pytest.mark.parametrize("path", [*TEXTS, ROOT / "CHANGELOG.md"], ids=_named)
def test_no_path_of_a_machine(path):
    assert not re.search(r"(?<![\w.])/(work|tmp|root)/", path.read_text(encoding="utf-8"))


# ---- citation ----------------------------------------------------------------------------------------------------


def test_citation_has_what_the_format_requires():
    cited = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == stemtrial.__version__
    assert cited["license"] == "Apache-2.0"
    assert all({"name"} <= author.keys() or {"family-names"} <= author.keys() for author in cited["authors"])
    assert f"## {stemtrial.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
