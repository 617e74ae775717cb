# Two doors: `make fit` and `make test`. Everything happens in .venv and is safe to repeat.

PYTHON ?= python3
SUBJECTS ?= 5
BIN := .venv/bin

.PHONY: fit test test-all test-slow lint notebooks docs bench clean

fit: .venv/demo
	$(BIN)/jaxcmr fit peers_notask --subjects $(SUBJECTS)

# On all cores, file by file: what a file compiles serves all of its tests.
test: .venv/test
	$(BIN)/python -m pytest -m "not slow and not full" --numprocesses auto --dist loadfile

# What CI runs: the same, what is costly and guards a truth again, and reports in a browser.
test-all: .venv/browser
	$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

test-slow: .venv/test
	$(BIN)/python -m pytest -m slow

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

notebooks: .venv/notebooks
	$(BIN)/jupyter nbconvert --to notebook --execute --output-dir build/notebooks examples/*.ipynb

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# REFERENCE: the Python of an environment with jaxcmr 0.1.1; see benchmarks/whole_data.py.
REFERENCE ?=
bench: .venv/bench
	$(BIN)/python benchmarks/engine_speed.py
	$(BIN)/python benchmarks/catalogue.py loss growth
	$(BIN)/python benchmarks/measures.py
	$(BIN)/python benchmarks/whole_data.py $(if $(REFERENCE),--reference $(REFERENCE))

clean:
	rm -rf .venv build dist site results

# What a door needs, once: the package (in place) with that door's extra.
.venv/%: pyproject.toml | .venv/bin/pip
	$(BIN)/pip install --quiet --editable ".[$*]"
	touch $@

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "jaxcmr needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
