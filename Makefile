# make install  into .venv, and nothing else
# make run    the whole pipeline on the embedded default, offline after installation; prints where the report is
# make test   lint, types, import contracts and all tests
# make bench  Candor against TRL, about twenty minutes; more: make bench ARGS='--quick' (docs/benchmarks.md)
# make docs   the documentation as a site, in build/docs
# Needs only python3.11 or newer with pip and venv. Another interpreter: make run PYTHON=/path/to/python3.12
SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: install run test lint docs bench clean

PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
RECIPE ?=
ARGS ?=
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist loadfile
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

install: $(VENV)/.installed

run: $(VENV)/.installed
	$(BIN)/candor run $(RECIPE) $(ARGS)

test: lint
	chromium=$$(scripts/ensure_browser.sh $(BIN)/python) && CHROMIUM="$$chromium" $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs build/docs
	@echo "docs: build/docs/index.html"

bench: $(VENV)/.installed-bench
	$(BIN)/python -m bench.run $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@scripts/make_venv.sh "$(VENV)" "$(PYTHON)"

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Candor into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Candor and its tests' tools into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -c constraints.txt -e '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Candor and Sphinx into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -c constraints.txt -e '.[docs]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Candor and TRL into $(VENV) (a few minutes the first time) ..."
	@$(PIP_INSTALL) -c constraints.txt -e '.[bench]'
	@touch $(VENV)/.installed $@
