PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check bench docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,docs]" --constraint constraints.txt
	touch $@

demo: install
	$(BIN)/stemtrial simulate examples/knee_oa_cells_vs_saline.yaml --replicates 2000 --seed 1 --out run/

test: install
	$(BIN)/python -m pytest --numprocesses 2

check: install
	$(BIN)/ruff check src tests benchmarks docs regression
	$(BIN)/ruff format --check src tests benchmarks docs regression
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m sphinx -q -W -b html docs docs/_build

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]" --constraint constraints.txt
	$(BIN)/python benchmarks/engine.py

docs: install
	$(BIN)/python -m sphinx -W -b html docs docs/_build

clean:
	rm -rf $(VENV) run docs/_build
