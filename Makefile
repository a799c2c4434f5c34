# Everything a person or CI does with a checkout. Only Python (3.10-3.13), git and make are needed beforehand.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
BIN := $(VENV)/bin
# The first interpreter that edgekit supports; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && { echo $$p; break; }; done)

# Test files are shared out to this many processes; each needs about 2 GB.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: help setup quickstart test test-all check docs docs-reference format lock clean

help:
	@echo "make quickstart   set up, then train, export, measure and report on the embedded dataset"
	@echo "make test         set up, then run the tests"
	@echo "make test-all     the slow tests too, and those on an emulated Raspberry Pi"
	@echo "make check        ruff, mypy --strict and the tests"
	@echo "make docs         build the documentation as a site (build/site); warnings are errors"
	@echo "make docs-reference  write the generated reference pages again"
	@echo "make format       let ruff format the code"
	@echo "make lock         resolve the pinned versions anew"
	@echo "make clean        remove the environment and what the commands made"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 with venv was found; install one, or: make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

quickstart: setup
	$(BIN)/edgekit quickstart

test: setup
	$(PYTEST) -m "not slow and not pi" $(ARGS)

test-all: setup
	$(PYTEST) $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -m "not slow and not pi" $(ARGS)

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
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --upgrade \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock

clean:
	rm -rf $(VENV) quickstart build dist .pytest_cache .mypy_cache .ruff_cache
