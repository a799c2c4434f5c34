# Everything a person or CI does with a checkout. Only Python (3.10-3.13), git and make are needed beforehand.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
BIN := $(VENV)/bin
# The first interpreter that edgekit supports; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$p; break; }; done)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Test files are shared out to this many processes; each needs about 2 GB.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
# Tests that need neither TensorFlow nor a runtime.
LIGHT_TESTS := $(wildcard tests/api/test_[!e]*.py tests/cli tests/data tests/docs tests/documents tests/recipe \
	tests/render tests/report tests/stats tests/study tests/test_*.py)

.PHONY: help setup quickstart test test-all test-light fuzz check lint docs docs-reference format lock clean

help:
	@echo "make quickstart   set up, then train, export, measure and report on the embedded dataset"
	@echo "make test         set up, then run the tests"
	@echo "make test-all     also run the slow tests, and those on an emulated Raspberry Pi"
	@echo "make test-light   run the tests that need no TensorFlow, in a small environment"
	@echo "make fuzz         give every command odd inputs, for two hours (SECONDS=7200)"
	@echo "make lint         ruff, mypy --strict and the import contracts"
	@echo "make check        make lint, then the tests"
	@echo "make docs         build the documentation as a site (build/site); warnings are errors"
	@echo "make docs-reference  regenerate the reference pages"
	@echo "make format       format the code with ruff"
	@echo "make lock         update the pinned versions"
	@echo "make clean        remove the environment and all generated files"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 with venv was found; install one, or: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --no-deps --requirement requirements.lock
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

# A small environment, unless $(VENV) is a whole one.
LIGHT_READY := $(if $(wildcard $(VENV)/.ready),$(VENV)/.ready,$(VENV)/.light)

$(VENV)/.light: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 with venv was found; install one, or: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --constraint requirements.lock --editable ".[light]"
	@touch $@

quickstart: setup
	$(BIN)/edgekit quickstart

test: setup
	$(PYTEST) -m "not slow and not pi" $(ARGS)

test-all: setup
	$(PYTEST) $(ARGS)

test-light: $(LIGHT_READY)
	$(PYTEST) -m "not slow and not pi" $(LIGHT_TESTS) $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Odd inputs without end, or for SECONDS; a finding says how to repeat it.
SECONDS ?= 7200
fuzz: setup
	$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS) --seed $(or $(SEED),$(shell date +%s)) $(ARGS)

check: lint test

# The reference pages come from help texts and docstrings; tests/docs fails when they are out of date.
docs-reference: setup
	$(BIN)/python tools/docs/reference.py

docs: setup $(VENV)/.docs-ready
	$(BIN)/python tools/docs/reference.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "written: build/site/index.html"

$(VENV)/.docs-ready: pyproject.toml $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup
	$(PIP_INSTALL) uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --upgrade \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock
	@# pnnx lists PyTorch as a dependency, but converts ONNX files without it.
	echo pnnx | $(BIN)/uv pip compile - --no-deps --upgrade --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links >> requirements.lock

clean:
	rm -rf $(VENV) .venv-3.* quickstart build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
