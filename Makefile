# Both main targets set up everything they need in .venv, from a machine with Python 3.11 and make.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test test-all lint clean

demo: .venv/ready  ## train MMSSL on generated data and print its test table
	$(BIN)/python train.py --config configs/demo.py

test: .venv/test-ready  ## the tests that continuous integration runs
	$(BIN)/python -m pytest

test-all: .venv/test-ready  ## also the tests that take minutes
	$(BIN)/python -m pytest -m ""

lint: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv runs

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/test-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable ".[test,test-encode,plot,tune]"
	touch $@
