# One command each; the first that needs the environment makes it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What only the tests need, and of it what the measurements need too: a browser, and a program in JavaScript.
BROWSER := $(VENV)/.browser
NPM := $(VENV)/.npm
# What is added to pytest's command line: make test ARGS="-n 0 -x tests/house"
ARGS ?=
UV := $(BIN)/uv
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile pyproject.toml --quiet --universal --generate-hashes \
	--python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate

.PHONY: setup .venv demo test check bench nightly mutants lock slack-schema

setup: $(STAMP) $(BROWSER) $(NPM)

.venv: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "relay needs Python 3.11 or later; there is no $(PYTHON). Name another: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("relay needs Python 3.11 or later; this is %d.%d. Name another: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Setting relay up in $(VENV): fetching and checking what the lock file names. This takes up to a minute, once."
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(BROWSER): $(STAMP) tools/system_packages.sh
	@sh tools/system_packages.sh && touch $@ || [ $$? -eq 3 ]

$(NPM): $(STAMP) tests/witnesses/npm/package.json tests/witnesses/npm/package-lock.json
	@mkdir -p $(VENV)/npm && cp tests/witnesses/npm/package.json tests/witnesses/npm/package-lock.json $(VENV)/npm/
	@cd $(VENV)/npm && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --silent
	@touch $@

demo: $(STAMP)
	$(BIN)/relay demo

test: $(STAMP) $(BROWSER) $(NPM)
	$(BIN)/pytest $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_sizes.py
	$(BIN)/python tools/check_links.py
	$(BIN)/python tools/audit_dependencies.py

bench: $(STAMP) $(NPM)
	$(BIN)/python -m bench

# The same tests with many more examples, whole days of 2,000 turns (tests/soak), and the mutants: hours, not minutes.
nightly: $(STAMP) $(BROWSER) $(NPM)
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -o timeout=14400 $(ARGS)
	$(MAKE) mutants

# Changes the rules three thousand times, one place a time, in a copy: a test fails for each, or docs/mutants.md says why
# none can. Half an hour.
mutants: $(STAMP)
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && \
	git ls-files -co --exclude-standard | tar -cf - -T - | tar -xf - -C "$$copy" && cd "$$copy" && \
	HYPOTHESIS_PROFILE=mutants $(CURDIR)/$(BIN)/mutmut run --max-children 1 >"$$copy/mutmut.log" || { tail -c 4000 "$$copy/mutmut.log"; exit 1; } && \
	$(CURDIR)/$(BIN)/python tools/check_mutants.py

# Takes what the lock files have; make lock UPGRADE=--upgrade takes the newest.
UPGRADE ?=
lock:
	@test -x $(UV) || { echo "make setup comes first: it installs uv" >&2; exit 1; }
	$(COMPILE) $(UPGRADE) --extra postgresql --extra tracing -o requirements.lock
	$(COMPILE) $(UPGRADE) --group dev --constraints requirements.lock -o requirements-dev.lock
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --group build --constraints requirements-dev.lock -o requirements-build.lock

# Needs Node 20; only when the versions in tools/slack_types_schema/package.json change.
slack-schema:
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	cp tools/slack_types_schema/* "$$scratch"/ && \
	(cd "$$scratch" && npm install --no-audit --no-fund --no-package-lock --silent && node generate.mjs schema.json) && \
	cp "$$scratch"/schema.json tests/witnesses/slack_types.schema.json
