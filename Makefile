# Each target builds .venv first if it must. Nothing outside of this folder is written but pip's cache.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: help report test lint typecheck format
.DELETE_ON_ERROR:

help:
	@echo "make report     train a built-in network on the digits and write the report (at most 3 minutes)"
	@echo "make test       run the tests"
	@echo "make lint       ruff: rules and formatting"
	@echo "make typecheck  mypy --strict"
	@echo "make format     rewrite the formatting"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@test -d .venv || echo "Building .venv: 3 to 10 minutes, nearly all of it PyTorch. This happens once." >&2
	@test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

report: $(READY)
	$(BIN)/cifar-report train-and-report --data digits --out reports/digits --overwrite

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The editable install hides the package from mypy; a link shows it the folders as cifar_report.
typecheck: $(READY)
	@mkdir -p .typing && ln -sfn .. .typing/cifar_report
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
