# Each target does its own set-up on a fresh machine: Python 3.10 to 3.13 with venv, and a package index to reach.
#   make demo         a door, a lock, a broker and the page on this machine; one key press ends it
#   make demo-check   the same without a screen; ends with one line of JSON
#   make test         everything that is checked before a change goes in
#   make bench        our encoder beside what people would use instead: one table, peers are fetched; docs/encoder.md
#   make bench-device the door's way of a frame beside what people would use instead, and what a board has to do; README
#   make test-arm64   the door on Debian 12 and 13 for ARM, emulated: its tests, the same decisions as here; root, slow
#   make bench-page   how fast the page answers in a real browser, beside what was asked for
#   make faults       the fault bench at full length, for hours; docs/faults.md
#   make fuzz         its fuzzing alone, an hour for each target; it fetches atheris, which needs Python 3.11 or newer
#                     ARGS="--minutes 10" adds ten minutes to each; what is done is kept in .fuzz
# PYTHON=/path/to/python     another interpreter than the first good one found
# TORCH_INDEX=URL            PyTorch's index of CPU builds, where the ordinary one has CUDA builds only (2 GB more)
# ARGS="..."                 for demo, demo-check, bench, faults and fuzz, handed on: make demo ARGS="--port 8000"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-check test test-arm64 bench bench-device bench-page faults faults-short fuzz lint format clean \
  screenshots

DEMO := .venv-demo
TEST := .venv-test
BENCH := .venv-bench
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export ORT_DISABLE_TELEMETRY := 1
# Containers often have it. Programs start in half of the time where compiled modules are kept: page 7.2 s, then 3.6 s.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=

# The first of these that runs, is 3.10 to 3.13, and can make virtual environments.
define FIND_PYTHON
for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.10; do \
  "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
    >/dev/null 2>&1 && { echo "$$python"; exit 0; }; \
done; \
echo "No Python from 3.10 to 3.13 with venv was found." >&2; \
echo "On Debian or Ubuntu: sudo apt-get install python3 python3-venv. Or name one: make PYTHON=/path/to/python3.11" >&2; \
exit 1
endef

# $(1): the environment's folder, $(2): the extra.
define MAKE_ENVIRONMENT
python=$$($(FIND_PYTHON)); \
echo "Making $(1) with $$("$$python" --version) and the extra '$(2)'. This takes a minute or two, once."; \
rm -rf $(1); \
"$$python" -m venv $(1); \
$(1)/bin/python -m pip install --quiet --no-compile $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
  -c constraints.txt -e '.[$(2)]' || { \
  echo "pip could not install the extra '$(2)'; its own words stand above." >&2; \
  echo "Is there a way to a package index from here? Run the same command again to go on." >&2; exit 1; }; \
touch $(1)/ready
endef

help:
	@sed -n 's/^# \?//p' Makefile | sed -n '1,12p'

$(DEMO)/ready: pyproject.toml constraints.txt
	@$(call MAKE_ENVIRONMENT,$(DEMO),demo)

$(TEST)/ready: pyproject.toml constraints.txt
	@$(call MAKE_ENVIRONMENT,$(TEST),test)

# Debian's own Python where there is one: systemd/install.sh gives a door that, and it is quicker than one built by hand.
$(BENCH)/ready: PYTHON ?= /usr/bin/python3
$(BENCH)/ready: pyproject.toml constraints.txt
	@$(call MAKE_ENVIRONMENT,$(BENCH),bench)

demo: $(DEMO)/ready
	@exec $(DEMO)/bin/latchkey-admin demo $(ARGS)

demo-check: $(DEMO)/ready
	@exec $(DEMO)/bin/latchkey-admin demo --check $(ARGS)

lint: $(TEST)/ready
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports
	$(TEST)/bin/python -c "import device.daemon, sys; assert not {'torch','gradio','sqlalchemy'} & set(sys.modules)"

# Three lanes of about a length, for a test mostly waits: for containers, Home Assistant, a browser, a broken wire.
# The browser's tests run together: their building has a page, a door and a Chromium that work for as long as it stands.
ASIDE := nspawn or homeassistant or fuzz or postgres or browser
BESIDE := tests/trainer tests/device

ifeq ($(strip $(ARGS)),)
test: lint
	@said=$$(mktemp -d); \
	{ bad=0; $(TEST)/bin/python -m pytest tests/browser -o cache_dir=.pytest_cache/browser || bad=$$?; \
	  $(TEST)/bin/python -m pytest -m "$(ASIDE)" -o cache_dir=.pytest_cache/aside --ignore=tests/browser || bad=$$?; \
	  exit $$bad; } >"$$said/aside" 2>&1 & aside=$$!; \
	{ $(TEST)/bin/python -m pytest -m "not ($(ASIDE))" -o cache_dir=.pytest_cache/beside $(BESIDE) && \
	  $(TEST)/bin/python -m tests.faults --short; } >"$$said/beside" 2>&1 & beside=$$!; \
	failed=0; \
	$(TEST)/bin/python -m pytest -m "not ($(ASIDE))" $(BESIDE:%=--ignore=%) || failed=$$?; \
	wait $$aside || failed=$$?; \
	wait $$beside || failed=$$?; \
	cat "$$said/aside" "$$said/beside"; rm -rf "$$said"; exit $$failed
else
test: lint
	$(TEST)/bin/python -m pytest $(ARGS)
endif

test-arm64: $(TEST)/ready
	exec tests/arm64/run.sh $(ARGS)

bench-device: $(BENCH)/ready
	exec $(BENCH)/bin/python -m benchmarks.board $(ARGS)

bench: $(BENCH)/ready
	exec $(BENCH)/bin/python -m benchmarks $(ARGS)

faults: $(TEST)/ready
	exec $(TEST)/bin/python -m tests.faults $(ARGS)

faults-short: $(TEST)/ready
	exec $(TEST)/bin/python -m tests.faults --short $(ARGS)

$(TEST)/fuzz: $(TEST)/ready
	$(TEST)/bin/python -m pip install --quiet --no-compile -c constraints.txt -e '.[fuzz]'
	touch $@

fuzz: $(TEST)/fuzz
	exec $(TEST)/bin/python -m tests.faults --only fuzz $(ARGS)

bench-page: $(TEST)/ready
	exec $(TEST)/bin/python -m tests.browser.bench_page

screenshots: $(TEST)/ready
	$(TEST)/bin/python -m tests.browser.screenshots docs/images

format: $(TEST)/ready
	$(TEST)/bin/ruff check --fix .
	$(TEST)/bin/ruff format .

clean:
	rm -rf $(DEMO) $(TEST) $(BENCH) *.egg-info build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
