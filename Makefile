# Two commands matter: `make test` sets everything up and runs every check; `make up` sets up and runs the product.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup test test-long check lint types unit bench up reference clean

setup: .venv/ready

# The stamp holds until the lock or the project file changes.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@ .venv/running

# What the product needs and no more, in the same locked versions. Nothing is compiled ahead: most of it is never imported.
.venv/running: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; set PYTHON=")'
	@echo "Setting up .venv, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock --editable '.[app,lake,models]'
	@touch $@

lint: setup
	$(BIN)/ruff format --check src tests examples
	$(BIN)/ruff check src tests examples

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/python -m pytest -n 2 -m "not long"

test: lint types unit

test-long: setup
	$(BIN)/python -m pytest -n 2

# The storefront, on the data in ./data. Ctrl-C stops it, and the next `make up` carries on with the same data.
up: .venv/running
	@$(BIN)/penstock up examples/storefront

# docs/reference/cli.md from the commands themselves; a test says when it has to be made again.
reference: setup
	$(BIN)/python -m penstock.cli.reference > docs/reference/cli.md

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
