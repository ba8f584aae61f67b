# Two commands matter: `make test` sets everything up and runs every check; `make up` sets up and runs the product.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup test test-long lint types unit browser chromium screenshots bench up reference clean

setup: .venv/ready

# The stamp holds until the lock or the project file changes.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@ .venv/running

# What the product and its tutorial need and no more, in the same locked versions. Nothing is compiled ahead: most of it is
# never imported.
.venv/running: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or newer; set PYTHON=")'
	@echo "Setting up .venv, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock --editable '.[app,aws,lake,models]' pytest
	@touch $@

lint: setup
	$(BIN)/ruff format --check src tests examples
	$(BIN)/ruff check src tests examples

types: setup
	$(BIN)/mypy

# The browser tests need Debian's Chromium: it is installed where that can be done without asking, else named.
chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	  else echo "The browser tests need Chromium: apt-get install chromium"; exit 1; fi; }

unit: setup
	$(BIN)/python -m pytest -n 2 -m "not long"

# In a process of its own: Playwright keeps an event loop running in it, and other tests start theirs.
browser: setup chromium
	$(BIN)/python -m pytest tests/browser

# The picture in the README, from the same test that looks at the page.
screenshots: setup chromium
	$(BIN)/python -m pytest tests/browser/test_first_picture.py
	cp artefacts/console.png docs/images/console.png

test: lint types unit browser

test-long: setup
	$(BIN)/python -m pytest -n 2

# Ratios to bare servers on this machine, in turns; nothing else should run beside it. See bench/README.md.
bench: setup
	@command -v wrk >/dev/null || { echo "The benchmarks need wrk: apt-get install wrk"; exit 1; }
	$(BIN)/python bench/tables.py --peers
	$(BIN)/python bench/in_process.py
	$(BIN)/python bench/at_scale.py

# The storefront, on the data in ./data. Ctrl-C stops it, and the next `make up` carries on with the same data.
up: .venv/running
	@$(BIN)/penstock up examples/storefront

# docs/reference/cli.md from the commands themselves; a test says when it has to be made again.
reference: setup
	$(BIN)/python -m penstock.cli.reference > docs/reference/cli.md

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
