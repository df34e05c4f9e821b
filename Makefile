# Every target sets up what it needs in .venv, from a machine with make and Python 3.11 or later.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
EXTRAS := $(foreach extra,augment encode fuzz plot report serve tune docs tensorboard wandb mlflow test test-encode \
	dev,--extra $(extra))

.PHONY: demo test test-encode test-all faults test-matrix constraints lint site clean

demo: .venv/ready  ## train MMSSL on generated data and print its test table
	$(BIN)/mmssl demo

test: .venv/test-ready  ## the tests, but those that take minutes or need torch
	$(BIN)/python -m pytest

test-encode: .venv/encode-ready  ## also those that need torch; what continuous integration runs
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/encode-ready  ## also the tests that take minutes
	$(BIN)/python -m pytest -m ""

faults: .venv/test-ready  ## every fault of docs/reliability.md, and its table
	-$(INSTALL) ".[fuzz]"  # leads hostile inputs by coverage, where there is a wheel of it
	PYTHONPATH=tests $(BIN)/python -m faults

test-matrix:  ## demo and tests on oldest, pinned and newest versions, on every Python that is here
	$(PYTHON) .ci/matrix.py

constraints: .venv/ready  ## the versions that are tested anew; UPGRADE=--upgrade takes the newest
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 $(EXTRAS) $(UPGRADE) \
		--no-annotate --custom-compile-command "make constraints" -o constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --upgrade \
		$(foreach extra,augment plot report serve tune tensorboard test,--extra $(extra)) --no-annotate \
		--custom-compile-command "make constraints" -o constraints-oldest.txt pyproject.toml

lint: .venv/ready  ## ruff and mypy, as .pre-commit-config.yaml runs them before a commit
	$(INSTALL) ".[serve]"  # whose decorators mypy must know
	$(BIN)/python -m pip install --quiet --constraint constraints.txt ruff mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

site: .venv/ready  ## the documentation as a site, in build/site; fails where a link leads nowhere
	$(INSTALL) ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv .matrix runs

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/test-ready: .venv/ready
	$(INSTALL) ".[test,plot,report,tune,tensorboard]"
	touch $@

.venv/encode-ready: .venv/test-ready
	$(INSTALL) ".[test,test-encode,plot,report,tune,tensorboard,wandb,mlflow]"
	touch $@
