# Two commands: `make lab` opens the course, `make test` tests it. README.md has the same without make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: lab test test-all lint

lab: $(INSTALLED)
	@$(BIN)/vh assets fetch || echo "The course goes on without it: the notebooks say what they show instead."
	@$(BIN)/vh lab

test: $(INSTALLED)
	@$(BIN)/vh assets fetch || echo "Tests that need real data will be skipped."
	@$(BIN)/python -m pytest -n 2 --dist loadscope

test-all: $(INSTALLED)
	@$(BIN)/vh assets fetch || echo "Tests that need real data will be skipped."
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m ""

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

# The stamp is written last, so an interrupted installation is taken up again, and a finished one
# is repeated only when what it installed from has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
	  { echo "vhlib needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' is $$($(PYTHON) -V 2>/dev/null || echo missing); name another one with PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing vhlib and JupyterLab into $(VENV): a few minutes, once"
	$(BIN)/python -m pip install -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt -e ".[lab,fast,detect,dev]"
	@touch $@
