# Each command sets itself up: virtual environment, installation against the constraints, the job.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

.PHONY: compare test lint clean

# Whole people held out, on recordings of people listening to music. Other studies and settings:
# make compare ARGS="induced-stress --folds 9", make compare ARGS=--help
compare: $(VENV)/installed
	$(VENV)/bin/edaemo compare $(ARGS)

# make test ARGS="tests/test_fusion.py -x"
test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python docs/english.py
	$(VENV)/bin/python docs/docstrings.py
	PYTHONPATH=. PATH="$(abspath $(VENV))/bin:$$PATH" pyright --verifytypes edaemo --ignoreexternal

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/installed: pyproject.toml constraints.txt setup.py $(wildcard edaemo/decomposition/_kernel*.[ch]*)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@
