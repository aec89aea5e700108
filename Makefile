PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST := .venv-oldest
CORE := tests/backbones tests/controller tests/pruners tests/test_imports.py
LMMS := .venv-lmms
LMMS_STAMP := $(LMMS)/.installed
LMMS_EVAL := $(shell sed -n 's/.*"\(lmms-eval==[^"]*\)".*/\1/p' pyproject.toml)
FOLDERS := backbones controller pruners studies tuning

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo report docs test slow oldest browser lmms lint types links clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## run the demonstration study and show its results (runs/demo)
	$(BIN)/saccade study run studies/configs/demo.yaml --out runs/demo

report: $(STAMP)  ## write the report of all committed results (build/report.html)
	@mkdir -p build
	$(BIN)/saccade report studies/results -o build/report.html

docs: $(STAMP) links  ## build the site with strict links (build/site), running the quick start
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

test: $(STAMP)  ## run the tests, two processes side by side
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not slow"

slow: $(STAMP)  ## run the tests that start servers, or kill and resume processes
	$(BIN)/python -m pytest -q -n 2 -m "slow and not browser"

oldest:  ## run the core's tests with the oldest versions that are supported (its own .venv-oldest, 6 GB)
	@PYTHON=$(PYTHON) VENV=$(OLDEST) .ci/oldest $(CORE)

browser: $(STAMP)  ## open the pages in Chromium and check them (skipped where there is none)
	$(BIN)/python -m pytest -q -rs -m browser tests/browser

lmms: $(LMMS_STAMP)  ## evaluate local benchmark tasks through lmms-eval (in .venv-lmms)
	$(LMMS)/bin/python -m pytest -q -n 2 --dist loadfile tests/lmms

lint: $(STAMP)  ## check style and format (mend with: .venv/bin/ruff check --fix . && .venv/bin/ruff format .)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) links  ## check types (mypy, strict)
	$(BIN)/mypy

links:
	@rm -rf .types && mkdir -p .types/saccade
	@for name in __init__.py __init__.pyi py.typed; do ln -s ../../saccade/$$name .types/saccade/$$name; done
	@for name in $(FOLDERS); do ln -s ../../$$name .types/saccade/$$name; done

clean:  ## remove caches and build outputs (keeps environments and runs)
	rm -rf build dist *.egg-info .types .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	find . \( -path ./$(VENV) -o -path ./$(LMMS) -o -path ./$(OLDEST) \) -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "Saccade needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
			echo "Name another one, for example: make PYTHON=python3.12" >&2; exit 1; }; \
		echo "Creating $(VENV) ..."; \
		$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
			echo "That needs Python's venv module (Debian and Ubuntu: the package python3-venv)." >&2; exit 1; }; }
	@echo "Installing Saccade with its development tools into $(VENV): about two minutes the first time, pip is silent ..."
	@start=$$(date +%s); $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]' \
		&& echo "Installed in $$(($$(date +%s) - start)) s."
	@touch $@

# lmms-eval's requirements name torchvision and another wandb than ours, and its tasks here need neither.
$(LMMS_STAMP): pyproject.toml constraints.txt
	@test -x $(LMMS)/bin/python || $(PYTHON) -m venv $(LMMS) || { rm -rf $(LMMS); exit 1; }
	@echo "Installing lmms-eval with Saccade into $(LMMS): about two minutes the first time, pip is silent ..."
	@$(LMMS)/bin/python -m pip install -q -c constraints.txt -e '.[ray]' accelerate av datasets evaluate loguru openai \
		opencv-python-headless openpyxl psutil pytablewriter pytest pytest-xdist pytz sacrebleu tenacity
	@$(LMMS)/bin/python -m pip install -q --no-deps $(LMMS_EVAL)
	@touch $@
