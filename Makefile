# Each command sets itself up: virtual environment, installation against the constraints, the job.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

.PHONY: compare test test-oldest test-newest test-without-torch test-loggers fuzz docs docs-tables \
	lint release clean

# Whole people held out, on recordings of people listening to music. Other studies and settings:
# make compare ARGS="induced-stress --folds 9", make compare ARGS=--help
compare: $(VENV)/installed
	$(VENV)/bin/edaemo compare $(ARGS)

# make test ARGS="tests/test_fusion.py -x"
test: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 2 $(ARGS)

# The tests with other packages than those of constraints.txt, in an environment of their own:
# the lower bounds of pyproject.toml, the newest releases, and all packages except torch and skorch.
# Old releases warn about newer releases of their own dependencies.
test-oldest: override ARGS += -W default::DeprecationWarning
test-oldest test-newest test-without-torch: test-%:
	$(PYTHON) -m venv --clear $(VENV)-$*
	$(VENV)-$*/bin/python .ci/requirements.py $* > $(VENV)-$*/requirements.txt
	$(VENV)-$*/bin/python -m pip install --quiet --requirement $(VENV)-$*/requirements.txt
	$(VENV)-$*/bin/python -m pip install --quiet --no-deps --editable .
	$(VENV)-$*/bin/python -m pytest $(ARGS)

# The examples of docs/loggers.md, with the newest releases of the loggers; no network is needed.
test-loggers:
	$(PYTHON) -m venv --clear $(VENV)-loggers
	$(VENV)-loggers/bin/python -m pip install --quiet --editable ".[loggers,sign]" pytest
	$(VENV)-loggers/bin/python -m pytest tests/loggers $(ARGS)

# Damaged files of every format, for an hour: prints the table of docs/security.md.
# make fuzz ARGS="--seconds 60 --readers MATLAB --keep fallen"
fuzz: $(VENV)/installed
	$(VENV)/bin/python tests/fuzz/fuzz.py --seconds 3600 $(ARGS)

# The documentation, into docs/_build/html/index.html. Warnings are errors: broken links, names
# without a page, pages outside of the navigation. Examples that have not changed are not run again.
docs: $(VENV)/installed-docs
	MPLBACKEND=Agg $(VENV)/bin/python -m sphinx -W --keep-going -n -q -j 2 $(ARGS) docs docs/_build/html

# The tables of docs/ and README.md, from the stores in results/docs; hours without them.
docs-tables: $(VENV)/installed
	$(VENV)/bin/python docs/tables.py $(ARGS)

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python docs/english.py
	$(VENV)/bin/python docs/docstrings.py
	PYTHONPATH=. PATH="$(abspath $(VENV))/bin:$$PATH" pyright --verifytypes edaemo --ignoreexternal

# The sdist and the wheels of all platforms in dist/: EDAEMO_PROJECT_URL=https://… make release.
release:
	$(PYTHON) -m venv --clear $(VENV)-release
	$(VENV)-release/bin/python -m pip install --quiet --constraint constraints.txt auditwheel build setuptools twine ziglang
	$(VENV)-release/bin/python .ci/release.py dist $(ARGS)

clean:
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info docs/_build docs/api docs/gallery

$(VENV)/installed: pyproject.toml constraints.txt setup.py $(wildcard edaemo/decomposition/_kernel*.[ch]*)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@
